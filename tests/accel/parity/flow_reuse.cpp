#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include <map>

#include "accel/policies/cache/latent_feature_l1.h"
#include "accel/policies/cache/static_timestep_l1.h"
#include "accel/samplers/chunk_plan.h"
#include "accel/samplers/solver.h"
#include "tests/accel/parity/models.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

void checkFlowCacheDecisions(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    const auto plan =
        magiPlan({static_cast<int>(params["chunks"].asInt()), static_cast<int>(params["window"].asInt()),
                  static_cast<int>(params["steps"].asInt()), 0, MagiShortcut::Late});
    const auto times = magiTimes(plan.steps);
    const auto features = reference.tensor("features");
    const auto rows = static_cast<std::int64_t>(plan.rows.size());
    REQUIRE(features.size(0) == rows);
    const auto direction = reference.tensor("velocity_direction");
    auto byIncrement = reference.tensor("noise").clone();
    auto byVelocity = byIncrement.clone();
    std::map<int, at::Tensor> increment, velocity;

    LatentFeatureSettings settings;
    settings.threshold = params["epsilon"].asDouble();
    settings.warmup = static_cast<int>(params["warmup"].asInt());
    settings.lastRow = static_cast<int>(rows) - 1;
    std::int64_t r = 0;
    LatentFeatureL1 policy(settings, [&](const ChunkStep& step) { return features[r][step.chunk]; });
    auto decided = at::full({rows, plan.chunks}, -1, at::kInt);
    auto accumulated = at::full({rows, plan.chunks}, 0, at::kFloat);
    auto change = at::full({rows, plan.chunks}, -1, at::kFloat);
    for (; r < rows; ++r) {
        RowInfo row{static_cast<int>(r), {}};
        for (const auto& call : plan.rows[static_cast<std::size_t>(r)])
            row.chunks.push_back({call.chunk, call.localStep, call.time});
        const auto decisions = policy.decide(row);
        policy.commit(row, decisions);
        for (std::size_t i = 0; i < row.chunks.size(); ++i) {
            const auto& step = row.chunks[i];
            const bool reused = decisions[i] == RowDecision::Reuse;
            decided[r][step.chunk] = reused ? 1 : 0;
            accumulated[r][step.chunk] = policy.accumulated(step.chunk);
            change[r][step.chunk] = policy.lastChange(step.chunk);
            const auto k = static_cast<std::size_t>(step.localStep);
            const double dt = times[k + 1] - times[k];
            if (!reused) {
                velocity[step.chunk] = direction[step.chunk] * (1 + 0.1 * step.localStep / plan.steps);
                increment[step.chunk] = velocity[step.chunk] * dt;
            }
            byIncrement[step.chunk] += increment[step.chunk];
            byVelocity[step.chunk] += velocity[step.chunk] * dt;
        }
    }
    expectEqual(decided, reference.tensor("decision"), "decision");
    expectClose(accumulated, reference.tensor("accumulated_after"), reference.tolerance(), "accumulated");
    expectClose(change, reference.tensor("distance"), reference.tolerance(), "distance");
    expectClose(byIncrement, reference.tensor("final_increment_mode"), reference.tolerance(), "increment");
    expectClose(byVelocity, reference.tensor("final_velocity_mode"), reference.tolerance(), "velocity");
}

namespace {

struct NamedPolynomial {
    const char* name;
    RescaledCheckpoint checkpoint;
};
constexpr NamedPolynomial kPolynomials[] = {{"1.3b", RescaledCheckpoint::Forcing1_3B},
                                            {"14b", RescaledCheckpoint::Forcing14B},
                                            {"i2v540", RescaledCheckpoint::ImageToVideo14B540P},
                                            {"i2v720", RescaledCheckpoint::ImageToVideo14B720P}};

void checkPolynomials(const ParityCase& reference) {
    const auto distance = reference.tensor("polynomial.distance");
    for (const auto& [name, checkpoint] : kPolynomials) {
        for (const auto feature : {TimeFeature::Projection, TimeFeature::Embedding}) {
            const std::string key =
                std::string(name) + (feature == TimeFeature::Projection ? "_ret" : "_nonret");
            const auto polynomial = publishedPolynomial(checkpoint, feature);
            std::vector<double> ours;
            for (std::int64_t i = 0; i < distance.numel(); ++i)
                ours.push_back(polynomial(distance[i].item<float>()));
            expectClose(at::tensor(ours, at::kDouble), reference.tensor("polynomial." + key).to(at::kDouble),
                        1e-6, key);
        }
    }
}

/// State of one guidance branch in the public TeaCache, which counts calls and not rows.
struct BranchCache {
    ChangeRule rule;
    at::Tensor feature;
    at::Tensor residual;
};

} // namespace

void checkTeaCacheSkyReels(const ParityCase& reference) {
    checkPolynomials(reference);
    const auto dit = loadDit(originalDitConfig(reference), reference.weightFiles().front());
    const auto context = dit->embedText(reference.tensor("in.context")[0]);
    const auto negative = dit->embedText(reference.tensor("in.negative_context")[0]);
    for (const auto& run : reference.json()["runs"].asArray()) {
        const std::string& name = run["name"].asString();
        CAPTURE(name);
        const bool ret = run["ret"].asBool();
        const bool off = run["off"].asBool();
        const auto polynomial = publishedPolynomial(RescaledCheckpoint::Forcing1_3B,
                                                    ret ? TimeFeature::Projection : TimeFeature::Embedding);
        REQUIRE(run["size"].asString() == "1.3B");
        const auto steps = run["steps"].asInt();
        const auto schedule =
            uniPcSchedule(static_cast<int>(steps), run["shift"].asDouble(), TimeGrid::Original);
        const auto latents = reference.tensor(name + ".latents");
        BranchCache caches[2];
        for (auto& cache : caches)
            cache.rule.threshold = run["eps"].asDouble();
        std::int64_t calls = 0;
        auto reused = at::full({steps, 2}, 0, at::kLong);
        auto accumulated = at::full({steps, 2}, 0, at::kFloat);
        SolverState solver;
        auto x = reference.tensor("in.latents").clone();
        for (std::int64_t s = 0; s < steps; ++s) {
            at::Tensor velocities[2];
            for (int branch = 0; branch < 2; ++branch) {
                ForwardContext forward;
                forward.branch = branch == 0 ? Branch::Prompt : Branch::Negative;
                forward.grid = dit->grid(x);
                const auto t = at::tensor(
                    std::vector<float>{static_cast<float>(schedule.timesteps[static_cast<std::size_t>(s)])});
                auto state = dit->embed(x, t, branch == 0 ? context : negative,
                                        static_cast<int>(run["fps_index"].asInt()), forward);
                // The counter restarts at what the caller gave as steps: an odd one swaps the branches.
                auto& cache = caches[calls % 2];
                const auto feature = (ret ? state.modulation : state.time).clone();
                std::optional<double> change;
                if (cache.feature.defined())
                    change = polynomial(relativeChanges({{feature, cache.feature}}).front());
                const auto outcome = cache.rule.next(change, off || calls < (ret ? 10 : 2));
                cache.rule.accumulated = outcome.accumulated;
                cache.feature = feature;
                const auto before = state.hidden.clone();
                if (outcome.decision == RowDecision::Reuse) {
                    state.hidden = before + cache.residual;
                } else {
                    dit->layers(0, dit->config().layers, state, forward);
                    cache.residual = state.hidden - before;
                }
                // The reference notes the even state after the prompt's call, the odd one after the other's.
                accumulated[s][branch] = caches[branch].rule.accumulated;
                reused[s][branch] = outcome.decision == RowDecision::Reuse ? 1 : 0;
                velocities[branch] = dit->head(state, forward);
                if (++calls >= run["counter_steps"].asInt())
                    calls = 0;
            }
            const auto guided = velocities[1] + (velocities[0] - velocities[1]) * run["guidance"].asDouble();
            x = uniPcStep(schedule, solver, guided, x);
            expectClose(x, latents[s + 1], reference.tolerance(), name + " step " + std::to_string(s));
        }
        expectEqual(reused, reference.tensor(name + ".reused"), name + " reused");
        expectClose(accumulated, reference.tensor(name + ".accumulated_after"), 1e-3, name + " accumulated");
    }
}

} // namespace canopy::test
