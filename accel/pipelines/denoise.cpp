#include "accel/pipelines/denoise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <stdexcept>

#include "core/base/clock.h"

#include "accel/pipelines/numeric_error.h"

namespace canopy::accel {

namespace {

struct Group {
    int first = 0;
    int frames = 0;
};

std::vector<Group> groupsOf(const DenoisePlan& plan, int frames) {
    std::vector<Group> groups;
    for (int f = 0; f < frames; f += plan.groupFrames)
        groups.push_back({f, std::min(plan.groupFrames, frames - f)});
    return groups;
}

/// Velocity of frames [row.firstFrame, row.endFrame) with guidance.
at::Tensor guidedVelocity(const WanDit& dit, const Conditioning& conditioning, const DenoisePlan& plan,
                          const TimestepRow& row, const at::Tensor& latents, int step,
                          const DenoiseHooks& hooks, const DenoiseEvents& events,
                          const std::stop_token& stop) {
    const auto visible = latents.narrow(1, row.firstFrame, row.endFrame - row.firstFrame);
    std::vector<float> times;
    if (plan.perFrameTime) {
        for (int f = row.firstFrame; f < row.endFrame; ++f)
            times.push_back(static_cast<float>(row.timesteps[static_cast<std::size_t>(f)]));
    } else {
        times.push_back(static_cast<float>(row.timesteps.front()));
    }
    const auto timesteps = at::tensor(times, at::TensorOptions(at::kFloat)).to(latents.device());

    const bool guided = conditioning.negative.defined();
    const int blocks = dit.config().layers * (guided ? 2 : 1);
    int done = 0;
    const bool timed = events.blockSeconds && (!events.wantsBlockSeconds || events.wantsBlockSeconds());
    double last = timed ? steadySeconds() : 0;
    ForwardContext context;
    context.step = step;
    context.grid = dit.grid(visible);
    context.causalBlockFrames = plan.causalBlockFrames;
    context.stop = stop;
    context.attention = hooks.attention;
    context.boundary = hooks.boundary;
    context.blockDone = [&](int layer) {
        ++done;
        if (events.pace)
            events.pace();
        if (timed) {
            const double now = steadySeconds();
            events.blockSeconds(layer, now - last);
            last = now;
        }
        if (events.block)
            events.block(done, blocks);
    };
    const auto prompt = dit.velocity(visible, timesteps, conditioning.prompt, conditioning.fpsIndex, context);
    if (!guided)
        return prompt;
    context.branch = Branch::Negative;
    const auto negative =
        dit.velocity(visible, timesteps, conditioning.negative, conditioning.fpsIndex, context);
    return negative + (prompt - negative) * conditioning.guidance;
}

} // namespace

DenoisePlan synchronousPlan(Sampler sampler, FlowSchedule schedule, int frames) {
    DenoisePlan plan;
    plan.sampler = sampler;
    plan.schedule = std::move(schedule);
    plan.groupFrames = frames;
    for (const double t : plan.schedule.timesteps) {
        TimestepRow row;
        row.timesteps.assign(static_cast<std::size_t>(frames), t);
        row.advances.assign(static_cast<std::size_t>(frames), true);
        row.endFrame = frames;
        plan.rows.push_back(std::move(row));
    }
    return plan;
}

DenoisePlan forcingPlan(Sampler sampler, FlowSchedule schedule, const DiffusionForcingSetting& setting,
                        bool causal) {
    DenoisePlan plan;
    plan.sampler = sampler;
    plan.rows = timestepMatrix(setting, schedule.timesteps);
    plan.schedule = std::move(schedule);
    plan.groupFrames = setting.causalBlockFrames;
    plan.causalBlockFrames = causal ? setting.causalBlockFrames : 0;
    plan.perFrameTime = true;
    plan.remembersFirstResult = true;
    return plan;
}

DenoisePlan sequentialPlan(Sampler sampler, FlowSchedule schedule, int frames, int blockFrames) {
    DenoisePlan plan;
    plan.sampler = sampler;
    plan.schedule = std::move(schedule);
    plan.groupFrames = blockFrames;
    plan.causalBlockFrames = blockFrames;
    plan.perFrameTime = true;
    for (int first = 0; first < frames; first += blockFrames) {
        const int end = std::min(first + blockFrames, frames);
        for (const double t : plan.schedule.timesteps) {
            TimestepRow row;
            row.timesteps.assign(static_cast<std::size_t>(frames), 0.0);
            row.advances.assign(static_cast<std::size_t>(frames), false);
            for (int f = first; f < end; ++f) {
                row.timesteps[static_cast<std::size_t>(f)] = t;
                row.advances[static_cast<std::size_t>(f)] = true;
            }
            row.endFrame = end;
            plan.rows.push_back(std::move(row));
        }
    }
    return plan;
}

DenoiseState startState(const DenoisePlan& plan, at::Tensor latents) {
    DenoiseState state;
    const auto groups = groupsOf(plan, static_cast<int>(latents.size(1)));
    state.latents = std::move(latents);
    state.solvers.resize(groups.size());
    state.hasVelocity.assign(groups.size(), false);
    return state;
}

void denoise(const WanDit& dit, const Conditioning& conditioning, const DenoisePlan& plan,
             DenoiseState& state, const DenoiseHooks& hooks, const DenoiseEvents& events,
             const std::stop_token& stop) {
    const auto groups = groupsOf(plan, static_cast<int>(state.latents.size(1)));
    const int rows = static_cast<int>(plan.rows.size());
    while (state.row < rows) {
        const double start = steadySeconds();
        const auto& row = plan.rows[static_cast<std::size_t>(state.row)];
        RowInfo info{state.row, {}};
        std::vector<std::size_t> advancing;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const auto first = static_cast<std::size_t>(groups[g].first);
            if (!row.advances[first])
                continue;
            advancing.push_back(g);
            info.chunks.push_back({static_cast<int>(g), state.solvers[g].step, row.timesteps[first]});
        }
        auto decisions = hooks.rows ? hooks.rows->decide(info)
                                    : std::vector<RowDecision>(info.chunks.size(), RowDecision::Compute);
        if (decisions.size() != advancing.size())
            throw std::logic_error("a row policy must decide for every chunk of the row");
        for (std::size_t i = 0; i < advancing.size(); ++i) {
            if (!state.hasVelocity[advancing[i]])
                decisions[i] = RowDecision::Compute;
        }
        at::Tensor computed;
        if (std::find(decisions.begin(), decisions.end(), RowDecision::Compute) != decisions.end()) {
            computed =
                guidedVelocity(dit, conditioning, plan, row, state.latents, state.row, hooks, events, stop);
            if (!at::isfinite(computed).all().item<bool>())
                throw NumericError("numbers overflowed in the velocity", state.row);
        }

        // The row has ended: from here on nothing throws Cancelled, and state changes as a whole.
        if (!state.velocity.defined())
            state.velocity = at::zeros_like(state.latents);
        auto next = state.latents.clone();
        const bool wantsClean = events.clean && (!events.wantsClean || events.wantsClean());
        auto clean = wantsClean ? state.latents.clone() : at::Tensor();
        for (std::size_t i = 0; i < advancing.size(); ++i) {
            const std::size_t g = advancing[i];
            const auto& group = groups[g];
            const auto kept = state.velocity.narrow(1, group.first, group.frames);
            if (decisions[i] == RowDecision::Compute) {
                kept.copy_(computed.narrow(1, group.first - row.firstFrame, group.frames));
                state.hasVelocity[g] = true;
            }
            const auto x = state.latents.narrow(1, group.first, group.frames);
            auto& solver = state.solvers[g];
            if (wantsClean) {
                clean.narrow(1, group.first, group.frames)
                    .copy_(predictedClean(plan.schedule, solver.step, kept, x));
            }
            const auto stepped = solverStep(plan.sampler, plan.schedule, solver, kept.clone(), x.clone());
            if (plan.remembersFirstResult)
                rememberFirstResult(solver, stepped);
            next.narrow(1, group.first, group.frames).copy_(stepped);
        }
        state.latents = next;
        if (hooks.rows)
            hooks.rows->commit(info, decisions);
        const int finished = state.row++;
        if (wantsClean)
            events.clean(finished, clean);
        if (events.rowDone)
            events.rowDone(finished, rows, steadySeconds() - start);
    }
}

} // namespace canopy::accel
