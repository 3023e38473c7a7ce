// Chunk-wise caching without a model: schedules, rules and memory against the numbers of the method note.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <cmath>

#include <doctest/doctest.h>

#include "accel/nn/kv_pool.h"
#include "accel/policies/cache/kv_compression.h"
#include "accel/policies/cache/kv_timeline.h"
#include "accel/policies/cache/latent_feature_l1.h"
#include "accel/policies/cache/static_timestep_l1.h"
#include "accel/policies/cache/tea_cache_row.h"
#include "accel/samplers/chunk_plan.h"

using namespace canopy::accel;

namespace {

at::Tensor noise(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type = at::kFloat) {
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(type));
}

/// Relative change of each step of flow-cache.md 9's toy flow.
std::vector<double> toyChanges(int steps, double sigma) {
    const auto t = magiTimes(steps);
    std::vector<double> changes{0.0};
    for (int k = 1; k < steps; ++k) {
        const double before = t[static_cast<std::size_t>(k) - 1];
        const double norm = std::sqrt(before * before * sigma * sigma + (1 - before) * (1 - before));
        changes.push_back(std::sqrt(sigma * sigma + 1) / norm * (t[static_cast<std::size_t>(k)] - before));
    }
    return changes;
}

std::string drawn(const StaticMap& map) {
    std::string text;
    for (const bool reuse : map.reuse)
        text += reuse ? '.' : 'C';
    return text;
}

RowInfo oneChunk(int row) {
    return {row, {{0, row, 0.0}}};
}

/// Two layers of three chunks of six tokens, both branches written.
KvPool filledPool() {
    const auto options = at::TensorOptions(at::kFloat);
    KvPool pool(2, 24, 2, 4, options);
    for (int chunk = 0; chunk < 4; ++chunk) {
        pool.registerChunk(chunk, 6);
        for (const auto branch : {Branch::Prompt, Branch::Negative}) {
            for (int layer = 0; layer < 2; ++layer) {
                const auto seed =
                    static_cast<std::uint64_t>(100 * chunk + 10 * static_cast<int>(branch) + layer);
                pool.write(branch, layer, chunk, noise({6, 2, 4}, seed), noise({6, 2, 4}, seed + 5000));
            }
        }
    }
    return pool;
}

} // namespace

TEST_CASE("SkyReels' schedules have the rows and update windows of the method note") {
    std::vector<double> timesteps;
    for (int i = 0; i < 50; ++i)
        timesteps.push_back(990 - 15 * i);
    DiffusionForcingSetting setting;
    setting.frames = 25;
    setting.baseFrames = 25;
    setting.arStep = 5;
    setting.causalBlockFrames = 5;
    const auto check = [&](int firstChunk) {
        const auto plan = forcingChunkPlan(setting, timesteps);
        for (int chunk = firstChunk; chunk < 5; ++chunk) {
            std::vector<int> updated;
            for (std::size_t r = 0; r < plan.rows.size(); ++r) {
                for (const auto& call : plan.rows[r]) {
                    if (call.chunk == chunk && call.update) {
                        CHECK(call.localStep == static_cast<int>(updated.size()));
                        CHECK(call.time == timesteps[updated.size()]);
                        updated.push_back(static_cast<int>(r));
                    }
                }
            }
            REQUIRE(updated.size() == 50);
            CHECK(updated.front() == 5 * (chunk - firstChunk));
            CHECK(updated.back() == 5 * (chunk - firstChunk) + 49);
        }
        return plan.rows.size();
    };
    CHECK(check(0) == 70);
    setting.prefixFrames = 5;
    CHECK(check(1) == 65);
    setting = {25, 25, 0, 0, 1};
    CHECK(forcingChunkPlan(setting, timesteps).rows.size() == 50);
    setting.causalBlockFrames = 4;
    CHECK_THROWS_WITH_AS(forcingChunkPlan(setting, timesteps), "25 latent frames are no whole blocks of 4",
                         std::invalid_argument);
    CHECK_THROWS_AS(magiPlan({10, 3, 64, 0, {}}), std::invalid_argument);
}

TEST_CASE("the toy flow is reused where the method note draws it") {
    const StaticSettings settings{5, 0};
    CHECK(drawn(staticMap(toyChanges(64, 0.8), 0.010, settings)) ==
          "CCCCC......C...C..C..C.C.C.C.C.CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC");
    CHECK(drawn(staticMap(toyChanges(64, 0.8), 0.015, settings)) ==
          "CCCCC........C....C...C..C..C.C.C.C.C.CCCCCCCCCCCCCCCCCCCCCCCCCC");
    // Few steps leave nothing to reuse.
    CHECK(staticMap(toyChanges(16, 0.8), 0.015, settings).hitRate() == 0);
    CHECK(staticMap(toyChanges(64, 0.8), 0, {1, 1}).hitRate() == 0);
}

TEST_CASE("a threshold found for a hit rate gives that rate") {
    const auto changes = toyChanges(64, 0.8);
    const StaticSettings settings{4, 1};
    for (const double target : {0.0, 0.25, 0.5}) {
        const auto map = staticMap(changes, thresholdForHitRate(changes, target, settings), settings);
        CHECK(map.hitRate() == doctest::Approx(target).epsilon(0.01));
    }
    StaticTimestepL1 policy(staticMap(changes, 1e9, settings), {{0, 10, 12}});
    CHECK(policy.decide(oneChunk(9)).front() == RowDecision::Reuse);
    CHECK(policy.decide(oneChunk(10)).front() == RowDecision::Compute);
    CHECK(policy.decide(oneChunk(12)).front() == RowDecision::Reuse);
}

TEST_CASE("a decision leaves no trace until the row is committed") {
    const c10::InferenceMode inference;
    const auto base = noise({8, 4}, 7);
    LatentFeatureSettings settings;
    settings.threshold = 0.025;
    int row = 0;
    LatentFeatureL1 policy(settings, [&](const ChunkStep&) { return base * (1 + 0.01 * row); });
    std::string seen;
    for (; row < 6; ++row) {
        const auto first = policy.decide(oneChunk(row));
        CHECK((policy.decide(oneChunk(row)) == first));
        seen += first.front() == RowDecision::Reuse ? '.' : 'C';
        policy.commit(oneChunk(row), first);
    }
    CHECK(seen == "C..C..");
    CHECK_THROWS_AS(policy.commit(oneChunk(9), {RowDecision::Compute}), std::logic_error);
    // A chunk that was missing in the row before is computed.
    row = 8;
    CHECK(policy.decide(oneChunk(8)).front() == RowDecision::Compute);
}

TEST_CASE("TeaCache decides for all chunks of a row at once, over the rescaled change") {
    const c10::InferenceMode inference;
    const auto base = noise({8, 4}, 9);
    TeaCacheSettings settings;
    settings.threshold = 0.05;
    settings.lastRow = 7;
    settings.rescale = RescalePolynomial{{0, 0, 0, 2, 0}}; // twice the change: 0.02 a row
    TeaCacheRow policy(settings, [&](const RowInfo& row) { return base * (1 + 0.01 * row.row); });
    std::string seen;
    for (int row = 0; row < 8; ++row) {
        const RowInfo info{row, {{0, row, 0.0}, {1, row / 2, 0.0}}};
        const auto decisions = policy.decide(info);
        CHECK((policy.decide(info) == decisions));
        CHECK((decisions[0] == decisions[1]));
        seen += decisions[0] == RowDecision::Reuse ? '.' : 'C';
        policy.commit(info, decisions);
    }
    CHECK(seen == "C..C..CC");
}

TEST_CASE("redundancy without the matrix equals the dense mean cosine") {
    const c10::InferenceMode inference;
    const auto keys = noise({90, 3, 16}, 11);
    const auto wide = keys.to(at::kDouble).transpose(0, 1); // [H, L, D]
    const auto unit = wide / (wide.norm(2, -1, true) + 1e-8);
    auto cosine = at::matmul(unit, unit.transpose(1, 2));
    for (int i = 0; i < 90; ++i)
        cosine.select(1, i).select(1, i).zero_();
    const auto difference = (meanCosine(keys).to(at::kDouble) - cosine.mean(-1)).abs().max();
    CHECK(difference.item<double>() < 1e-6);
}

TEST_CASE("compression keeps whole rows, its budget per head, and nothing of chunks in flight") {
    const c10::InferenceMode inference;
    auto pool = filledPool();
    const auto untouched = filledPool();
    KvCompressionSettings settings;
    settings.frameTokens = 3;
    settings.chunkTokens = 6;
    std::vector<at::Tensor> queries;
    for (std::uint64_t i = 0; i < 4; ++i)
        queries.push_back(noise({6, 4, 4}, 40 + i));
    compressClean(pool, 2, 7, 2, queries, settings);
    CHECK(pool.usedRows() == 13);
    CHECK(pool.range(2).rows == 7);
    CHECK(pool.range(3).first == 7);
    CHECK(!pool.holds(0));
    for (const auto branch : {Branch::Prompt, Branch::Negative}) {
        for (int layer = 0; layer < 2; ++layer) {
            const auto [keys, values] = pool.upTo(branch, layer, 3);
            const auto [allKeys, allValues] = untouched.upTo(branch, layer, 3);
            CHECK(keys.narrow(0, 7, 6).equal(allKeys.narrow(0, 18, 6)));
            CHECK(values.narrow(0, 7, 6).equal(allValues.narrow(0, 18, 6)));
            const auto& origin = pool.origin(branch, layer);
            for (int head = 0; head < 2; ++head) {
                int last = -1;
                for (int j = 0; j < 7; ++j) {
                    const int from = origin[head][j].item<int>();
                    CHECK(from > last);
                    last = from;
                    CHECK(keys[j][head].equal(allKeys[from][head]));
                    CHECK(values[j][head].equal(allValues[from][head]));
                }
            }
        }
    }
    // The whole budget is the identity.
    auto whole = filledPool();
    compressClean(whole, 2, 18, 2, queries, settings);
    CHECK(whole.upTo(Branch::Prompt, 1, 3).first.equal(untouched.upTo(Branch::Prompt, 1, 3).first));
    settings.unit = KeptUnit::Frame;
    CHECK_THROWS_AS(compressClean(whole, 2, 7, 2, queries, settings), std::invalid_argument);
    compressClean(whole, 2, 6, 2, queries, settings);
    CHECK(whole.usedRows() == 12);
}

TEST_CASE("a window forgets the oldest chunks as a whole") {
    const c10::InferenceMode inference;
    auto pool = filledPool();
    const auto untouched = filledPool();
    keepWindow(pool, 2, 1);
    CHECK(pool.usedRows() == 12);
    CHECK(pool.ranges().front().chunk == 2);
    CHECK(pool.upTo(Branch::Negative, 0, 3)
              .first.equal(untouched.upTo(Branch::Negative, 0, 3).first.narrow(0, 12, 12)));
}

TEST_CASE("a memory of one chunk more than the window never overflows, one of the window does") {
    const auto plan = magiPlan({9, 3, 12, 0, MagiShortcut::Late});
    const auto fits = kvTimeline(plan, 4, 4, 10);
    CHECK(!fits.overflowRow);
    CHECK(fits.peakRows == 40);
    CHECK(kvTimeline(plan, 4, 3, 10).overflowRow);
}
