package io.weft.api.weft;

import io.smallrye.common.annotation.Blocking;
import io.weft.api.http.ApiError;
import io.weft.api.http.Guarded;
import io.weft.api.http.ModelDirectory;
import io.weft.observe.ChromeTrace;
import io.weft.observe.Observatory;
import io.weft.observe.ObservedStep;
import io.weft.plan.prediction.ProfileAdaptation;
import io.weft.plan.whatif.PlanExplanation;
import io.weft.plan.whatif.WhatIf;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.MediaType;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.eclipse.microprofile.openapi.annotations.Operation;
import org.jspecify.annotations.Nullable;

/** {@code /weft/v1}: the plan in force, other plans, the machine's profile, and what the last steps did. */
@Path("/weft/v1")
@Produces(MediaType.APPLICATION_JSON)
@Guarded
class PlanResource {
    /** The default number of steps in an answer, each with all its stages. */
    private static final int STEPS_DEFAULT = 4;

    private final ModelDirectory models;
    private final Observatory observatory;

    PlanResource(ModelDirectory models, Observatory observatory) {
        this.models = models;
        this.observatory = observatory;
    }

    @GET
    @Path("/plan")
    @Blocking
    @Operation(summary = "Explain the plan in force: full batches of full contexts")
    public PlanExplanation plan() {
        return served(observatory::explanation);
    }

    @POST
    @Path("/plan")
    @Blocking
    @Consumes(MediaType.APPLICATION_JSON)
    @Operation(summary = "Explain what another load, memory, machine or model would mean")
    public PlanExplanation whatIf(@NotNull @Valid PlanRequest request) {
        WhatIf inForce = served(observatory::inForce);
        try {
            return request.about(inForce).explain();
        } catch (IllegalArgumentException e) {
            throw PlanRequest.wrong(e).exception();
        }
    }

    @GET
    @Path("/profile")
    @Operation(summary = "What was measured of the machine, and how far it has drifted since")
    public ProfileResponse profile() {
        ProfileAdaptation adaptation = served(observatory::adaptation);
        return new ProfileResponse(
                adaptation.base().device(),
                adaptation.base().linkBytesPerSecond(),
                adaptation.now().link(),
                adaptation.now().compute(),
                adaptation.base());
    }

    /** @return {@link TimelineResponse}, or {@link ChromeTrace} if {@code format} is {@code trace} */
    @GET
    @Path("/timeline")
    @Blocking
    @Operation(
            summary = "The last steps that were timed, predicted and measured",
            description = "format=trace answers in the trace event format, for ui.perfetto.dev. Steps are timed now and"
                    + " then; once this was asked for, every step is for a minute.")
    public Object timeline(@QueryParam("format") @Nullable String format, @QueryParam("steps") @Nullable String steps) {
        List<ObservedStep> last = last(served(() -> Optional.of(observatory.watch())), steps(steps));
        return switch (format == null ? "json" : format) {
            case "json" -> TimelineResponse.of(last);
            case "trace" -> ChromeTrace.of(last);
            case String other ->
                throw ApiError.badField(
                                "format",
                                "format is \"%s\", must be json or trace.".formatted(ApiError.shortened(other)))
                        .exception();
        };
    }

    private static int steps(@Nullable String text) {
        if (text == null) {
            return STEPS_DEFAULT;
        }
        if (text.matches("\\d{1,4}")) {
            int steps = Integer.parseInt(text);
            if (steps >= 1 && steps <= Observatory.STEPS_KEPT) {
                return steps;
            }
        }
        throw ApiError.badField(
                        "steps",
                        "steps is \"%s\", must be a whole number from 1 to %d."
                                .formatted(ApiError.shortened(text), Observatory.STEPS_KEPT))
                .exception();
    }

    private static List<ObservedStep> last(List<ObservedStep> steps, int most) {
        return steps.subList(Math.max(0, steps.size() - most), steps.size());
    }

    /** A value that exists once a model is served; 503 before. */
    private <T> T served(Supplier<Optional<T>> what) {
        models.model(null);
        return what.get().orElseThrow(() -> ApiError.unobserved().exception());
    }
}
