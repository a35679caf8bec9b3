package io.weft.api.weft;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.plan.machine.HardwareProfile;

/**
 * What is known of the machine.
 *
 * @param device its name
 * @param linkBytesPerSecond of the largest copies that were measured
 * @param linkFactor how many times as long as measured the link takes now
 * @param computeFactor how many times as long as measured kernels take now
 * @param profile what was measured at the start
 */
@JsonNaming(SnakeCaseStrategy.class)
record ProfileResponse(
        String device, double linkBytesPerSecond, double linkFactor, double computeFactor, HardwareProfile profile) {}
