#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <stop_token>
#include <vector>

#include "accel/models/wan/dit.h"
#include "accel/policies/row_policy.h"
#include "accel/samplers/solver.h"
#include "accel/samplers/timestep_matrix.h"

namespace canopy::accel {

/// What the transformer is asked besides latents and time.
struct Conditioning {
    at::Tensor prompt;   ///< [Lt, C] from WanDit::embedText
    at::Tensor negative; ///< [Lt, C]; undefined when guidance is 1
    double guidance = 1; ///< v = v_neg + guidance * (v_prompt - v_neg)
    int fpsIndex = 0;
};

/// A sampling loop as data: one row per transformer call (pair of calls with guidance).
struct DenoisePlan {
    Sampler sampler = Sampler::UniPc;
    FlowSchedule schedule;
    std::vector<TimestepRow> rows;
    int groupFrames =
        0; ///< latent frames that move together and share a solver state; the last may be shorter
    int causalBlockFrames = 0;         ///< block-causal attention; 0 = bidirectional
    bool perFrameTime = false;         ///< false: one timestep for all frames
    bool remembersFirstResult = false; ///< see rememberFirstResult() in samplers/solver.h
};

/// All frames together, every step one row.
DenoisePlan synchronousPlan(Sampler sampler, FlowSchedule schedule, int frames);
/// Diffusion forcing over a step matrix; `causal` switches the block-causal mask on (surprise 13 of the
/// parity notes: diffusers does so whenever a block is larger than one frame, the original pipeline only on
/// request).
DenoisePlan forcingPlan(Sampler sampler, FlowSchedule schedule, const DiffusionForcingSetting& setting,
                        bool causal);
/// Block after block, finished ones clean context at time 0, block-causal.
DenoisePlan sequentialPlan(Sampler sampler, FlowSchedule schedule, int frames, int blockFrames);

struct DenoiseHooks {
    AttentionPolicy* attention = nullptr;
    LayerBoundary* boundary = nullptr;
    RowPolicy* rows = nullptr;
};

/// Everything that changes while sampling: a value. A row changes it when it ends, so a cancelled or paused
/// row is run again from its start.
struct DenoiseState {
    at::Tensor latents;               ///< [C, F, h, w] float32
    int row = 0;                      ///< next row
    std::vector<SolverState> solvers; ///< per group
    at::Tensor velocity; ///< last velocity per frame [C, F, h, w], for reuse; undefined before the first
    std::vector<bool> hasVelocity; ///< per group
};

struct DenoiseEvents {
    std::function<void(int block, int blocks)> block; ///< over both branches of a row
    std::function<bool()> wantsBlockSeconds; ///< asked once a row; a clock read per block is the cost
    std::function<void(int layer, double seconds)>
        blockSeconds; ///< only when set: costs a clock read per block
    std::function<void(int row, int rows, double seconds)> rowDone;
    std::function<bool()> wantsClean;                            ///< is a preview wanted for this row?
    std::function<void(int row, const at::Tensor& clean)> clean; ///< predicted clean latents [C, F, h, w]
    std::function<void()> pace; ///< after each block: keeps the host close to the card
};

DenoiseState startState(const DenoisePlan& plan, at::Tensor latents);

/// Runs rows until the last, or throws Cancelled. Latents stay in float32 on the model's device.
void denoise(const WanDit& dit, const Conditioning& conditioning, const DenoisePlan& plan,
             DenoiseState& state, const DenoiseHooks& hooks, const DenoiseEvents& events,
             const std::stop_token& stop);

} // namespace canopy::accel
