#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include "accel/samplers/solver.h"
#include "accel/samplers/timestep_matrix.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

namespace {

using namespace canopy::accel;

std::string number(double v) {
    std::string text = std::to_string(v);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
        text.pop_back();
    return text;
}

template <typename MakeSchedule>
void checkSampler(const ParityCase& reference, Sampler sampler, MakeSchedule makeSchedule) {
    const auto x0 = reference.tensor("x0");
    const auto a = reference.tensor("a");
    const auto b = reference.tensor("b");
    const auto& params = reference.json()["params"];
    for (const auto& shift : params["shifts"].asArray()) {
        for (const auto& steps : params["steps"].asArray()) {
            const std::string key =
                "shift" + number(shift.asDouble()) + ".steps" + std::to_string(steps.asInt());
            CAPTURE(key);
            const FlowSchedule schedule = makeSchedule(static_cast<int>(steps.asInt()), shift.asDouble());
            const auto timesteps = reference.tensor(key + ".timesteps");
            const auto ours = at::tensor(schedule.timesteps, at::TensorOptions(at::kDouble));
            if (timesteps.is_floating_point())
                expectClose(ours, timesteps, 1e-6, key + " timesteps");
            else
                expectEqual(ours, timesteps, key + " timesteps");
            expectClose(at::tensor(schedule.sigmas), reference.tensor(key + ".sigmas"), 1e-6,
                        key + " sigmas");
            const auto latents = reference.tensor(key + ".latents");
            SolverState state;
            auto x = x0;
            for (int i = 0; i < schedule.steps(); ++i) {
                const double t = timesteps[i].item<double>();
                x = solverStep(sampler, schedule, state, a * x + b * (t / 1000.0), x);
                expectClose(x, latents[i + 1], reference.tolerance(), key + " step " + std::to_string(i));
            }
        }
    }
}

} // namespace

void checkUniPc(const ParityCase& reference) {
    checkSampler(reference, Sampler::UniPc,
                 [](int steps, double shift) { return uniPcSchedule(steps, shift, TimeGrid::Diffusers); });
}

void checkUniPcOriginal(const ParityCase& reference) {
    checkSampler(reference, Sampler::UniPc,
                 [](int steps, double shift) { return uniPcSchedule(steps, shift, TimeGrid::Original); });
}

void checkEuler(const ParityCase& reference) {
    checkSampler(reference, Sampler::Euler, eulerSchedule);
}

void checkTimestepMatrix(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    for (const auto& row : params["settings"].asArray()) {
        const auto& v = row.asArray();
        DiffusionForcingSetting setting;
        setting.frames = static_cast<int>(v[0].asInt());
        setting.baseFrames = static_cast<int>(v[1].asInt());
        setting.arStep = static_cast<int>(v[2].asInt());
        setting.prefixFrames = static_cast<int>(v[3].asInt());
        setting.causalBlockFrames = static_cast<int>(v[4].asInt());
        const int steps = static_cast<int>(v[5].asInt());
        const std::string key = "f" + std::to_string(v[0].asInt()) + ".base" + std::to_string(v[1].asInt()) +
                                ".ar" + std::to_string(v[2].asInt()) + ".prefix" +
                                std::to_string(v[3].asInt()) + ".cb" + std::to_string(v[4].asInt()) + ".s" +
                                std::to_string(steps);
        CAPTURE(key);
        const auto schedule = uniPcSchedule(steps, params["shift"].asDouble(), TimeGrid::Diffusers);
        const auto rows = timestepMatrix(setting, schedule.timesteps);
        std::vector<at::Tensor> times, index, advances, interval;
        for (const auto& r : rows) {
            times.push_back(at::tensor(r.timesteps, at::TensorOptions(at::kDouble)));
            index.push_back(at::tensor(r.stepIndex));
            std::vector<int> mask(r.advances.begin(), r.advances.end());
            advances.push_back(at::tensor(mask));
            interval.push_back(at::tensor(std::vector<int>{r.firstFrame, r.endFrame}));
        }
        expectEqual(at::stack(times), reference.tensor(key + ".step_matrix"), key + " step_matrix");
        expectEqual(at::stack(index), reference.tensor(key + ".step_index"), key + " step_index");
        expectEqual(at::stack(advances), reference.tensor(key + ".update_mask"), key + " update_mask");
        expectEqual(at::stack(interval), reference.tensor(key + ".valid_interval"), key + " valid_interval");
    }
}

void checkDfTrajectory(const ParityCase& reference) {
    const auto x0 = reference.tensor("x0");
    const auto a = reference.tensor("a");
    const auto b = reference.tensor("b");
    const auto& params = reference.json()["params"];
    const auto frames = static_cast<int>(x0.size(2));
    for (const auto& run : params["runs"].asArray()) {
        const auto& v = run.asArray();
        const std::string& name = v[0].asString();
        CAPTURE(name);
        const auto schedule =
            uniPcSchedule(static_cast<int>(v[1].asInt()), params["shift"].asDouble(), TimeGrid::Diffusers);
        const DiffusionForcingSetting setting{frames, frames, static_cast<int>(v[2].asInt()),
                                              static_cast<int>(v[3].asInt()), static_cast<int>(v[4].asInt())};
        const auto rows = timestepMatrix(setting, schedule.timesteps);
        const auto latents = reference.tensor(name + ".latents");
        REQUIRE(static_cast<std::int64_t>(rows.size()) + 1 == latents.size(0));
        std::vector<SolverState> states(static_cast<std::size_t>(frames));
        auto x = x0.clone();
        for (std::size_t r = 0; r < rows.size(); ++r) {
            const auto t =
                at::tensor(rows[r].timesteps, at::TensorOptions(at::kFloat)).view({1, 1, frames, 1, 1});
            const auto velocity = a * x + b * (t / 1000.0);
            auto next = x.clone();
            for (int f = 0; f < frames; ++f) {
                if (rows[r].advances[static_cast<std::size_t>(f)]) {
                    auto& state = states[static_cast<std::size_t>(f)];
                    const auto stepped = uniPcStep(schedule, state, velocity.select(2, f), x.select(2, f));
                    rememberFirstResult(state, stepped);
                    next.select(2, f).copy_(stepped);
                }
            }
            x = next;
            expectClose(x, latents[static_cast<std::int64_t>(r) + 1], reference.tolerance(),
                        name + " row " + std::to_string(r));
        }
    }
}

} // namespace canopy::test
