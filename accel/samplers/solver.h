#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "accel/samplers/flow_schedule.h"

namespace canopy::accel {

/// What a solver remembers between steps: a value, copyable, one per group of frames that moves together.
struct SolverState {
    int step = 0;  ///< next index into the schedule
    int order = 0; ///< order of the previous prediction (UniPC)
    std::vector<at::Tensor>
        clean;             ///< predicted clean samples of the last steps, oldest first (UniPC: at most 2)
    at::Tensor lastSample; ///< sample before the previous prediction (UniPC's corrector)
};

/// x0 = x - sigma * v: what the previews show.
at::Tensor predictedClean(const FlowSchedule& schedule, int step, const at::Tensor& velocity,
                          const at::Tensor& x);

/// One step of UniPC (flow prediction, order 2, bh2, corrector on, lower order at the end): arXiv 2302.04867,
/// predictor eq. 9 and corrector eq. 8 with B(h) = e^h - 1, in the data-prediction form. Pure: returns the
/// next sample, advances `state`.
at::Tensor uniPcStep(const FlowSchedule& schedule, SolverState& state, const at::Tensor& velocity,
                     const at::Tensor& x);

/// The public diffusion-forcing pipelines (SkyReels-V2's own and diffusers') write a frame's result over the
/// memory that its solver remembers as the sample before the first step, so their first correction starts
/// from the result of that step. Called after a step to do the same; published clips were made this way.
void rememberFirstResult(SolverState& state, const at::Tensor& next);

/// x + (sigma_next - sigma) v.
at::Tensor eulerStep(const FlowSchedule& schedule, SolverState& state, const at::Tensor& velocity,
                     const at::Tensor& x);

/// The step of a request's sampler.
at::Tensor solverStep(Sampler sampler, const FlowSchedule& schedule, SolverState& state,
                      const at::Tensor& velocity, const at::Tensor& x);

} // namespace canopy::accel
