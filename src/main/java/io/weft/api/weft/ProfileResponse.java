package io.weft.api.weft;

import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.weft.plan.machine.HardwareProfile;

/**
 * The profile of the machine.
 *
 * @param device name of the device
 * @param linkBytesPerSecond rate of the largest measured copies
 * @param linkFactor factor of the link's current times over the measured ones
 * @param computeFactor factor of the kernels' current times over the measured ones
 * @param profile the profile measured at the start
 */
@JsonNaming(SnakeCaseStrategy.class)
record ProfileResponse(
        String device, double linkBytesPerSecond, double linkFactor, double computeFactor, HardwareProfile profile) {}
