// Sparse attention from step to step: what must equal dense attention, when choices are reused, and what is
// refused. Scores and selections themselves are compared with stored references in parity_test.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/policies/attention/block_mask.h"
#include "accel/policies/attention/sparse_attention.h"
#include "accel/policies/attention/svg2.h"
#include "accel/policies/attention/temporal_mask_reuse.h"
#include "accel/policies/attention/xattention.h"
#include "accel/policies/attention_policies.h"
#include "accel/runtime/job_error.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

constexpr int kSteps = 8;

/// Neighbouring tokens alike, as a video's are, so that some keys matter much more than others.
at::Tensor smoothTokens(std::int64_t tokens, std::int64_t heads, std::int64_t depth, std::uint64_t seed) {
    const auto generator = at::detail::createCPUGenerator(seed);
    const auto options = at::TensorOptions(at::kFloat);
    const at::Tensor coarse = at::randn({1, tokens / 64 + 1, heads, depth}, generator, options) * 1.5;
    return coarse.repeat_interleave(64, 1).slice(1, 0, tokens) +
           at::randn({1, tokens, heads, depth}, generator, options) * 0.5;
}

AttentionCall callOf(int step, std::int64_t tokens = 300, std::int64_t heads = 3, std::int64_t depth = 64,
                     std::uint64_t seed = 1) {
    AttentionCall call;
    call.step = step;
    call.grid = {1, 1, static_cast<int>(tokens), 0};
    call.q = smoothTokens(tokens, heads, depth, seed);
    call.k = smoothTokens(tokens, heads, depth, seed + 100);
    call.v = smoothTokens(tokens, heads, depth, seed + 200);
    return call;
}

AttentionSettings settingsOf(AttentionMethod method, std::int64_t tokens = 300) {
    AttentionSettings s;
    s.method = method;
    s.stride = 8;
    s.warmup = 0;
    return withAttentionDefaults(s, tokens, kSteps);
}

double worstShare(const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max()).item<double>();
}

/// A policy and what it told.
struct Told {
    explicit Told(const AttentionSettings& settings)
        : policy(makeAttentionPolicy(
              settings, {[this](AttentionRecord r) { records.push_back(std::move(r)); }, {}, {}, {}, {}})) {}
    int refreshed() const {
        return static_cast<int>(
            std::count_if(records.back().heads.begin(), records.back().heads.end(),
                          [](const auto& head) { return head.reason != RefreshReason::Reused; }));
    }
    std::vector<AttentionRecord> records;
    std::unique_ptr<AttentionPolicy> policy;
};

std::vector<HeadDrift> drifts(std::initializer_list<double> values) {
    std::vector<HeadDrift> drift;
    for (const double v : values)
        drift.push_back({v, 0});
    return drift;
}

int countRefreshed(const AttentionSettings& s, const std::vector<HeadDrift>& drift, int age = 1) {
    const auto reasons = decideRefresh(s, std::vector<int>(drift.size(), age), drift);
    return static_cast<int>(reasons.size()) -
           static_cast<int>(std::count(reasons.begin(), reasons.end(), RefreshReason::Reused));
}

/// XAttention that takes its flags from a tensor, as a host on a card does.
class FlagHost : public SparseHost {
public:
    explicit FlagHost(bool choosesAlone)
        : m_choosesAlone(choosesAlone) {}
    void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                std::unique_ptr<SparseMask>& mask) const override {
        m_host.choose(call, heads, mask);
    }
    bool choosesWithoutHost(const AttentionCall&) const override { return m_choosesAlone; }
    void chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const override {
        std::vector<std::int64_t> heads;
        for (std::int64_t h = 0; h < anew.size(0); ++h)
            if (anew[h].item<bool>())
                heads.push_back(h);
        std::unique_ptr<SparseMask> copy = std::make_unique<BlockMask>(static_cast<const BlockMask&>(mask));
        if (!heads.empty())
            m_host.choose(call, heads, copy);
        static_cast<BlockMask&>(mask) = static_cast<const BlockMask&>(*copy);
    }
    at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const override {
        return m_host.attend(call, mask);
    }
    std::vector<double> keptShare(const SparseMask& mask) const override { return m_host.keptShare(mask); }

private:
    XAttention m_host{{0.6}, 8};
    bool m_choosesAlone;
};

constexpr AttentionMethod kHosts[] = {AttentionMethod::XAttention, AttentionMethod::Svg2,
                                      AttentionMethod::TopK};

} // namespace

TEST_CASE("everything kept equals dense attention, whatever the number of tokens") {
    for (const AttentionMethod method : kHosts) {
        for (const std::int64_t tokens : {120, 128, 300, 1000}) {
            for (const std::int64_t depth : {64, 128}) {
                CAPTURE(attentionMethodName(method));
                CAPTURE(tokens);
                CAPTURE(depth);
                AttentionSettings s = settingsOf(method, tokens);
                s.tau = 1;
                s.keep = 1;
                Told told(s);
                const AttentionCall call = callOf(0, tokens, 2, depth);
                CHECK(worstShare(told.policy->attend(call), denseAttention(call)) < 1e-5);
                for (const auto& head : told.records.back().heads)
                    CHECK(head.keptShare == doctest::Approx(1));
                AttentionCall half = call;
                half.q = call.q.to(at::kBFloat16);
                half.k = call.k.to(at::kBFloat16);
                half.v = call.v.to(at::kBFloat16);
                Told other(s);
                CHECK(worstShare(other.policy->attend(half).to(at::kFloat),
                                 denseAttention(half).to(at::kFloat)) < 1e-2);
            }
        }
    }
}

TEST_CASE("less than everything kept is another result, and the kept share says how much") {
    for (const AttentionMethod method : kHosts) {
        CAPTURE(attentionMethodName(method));
        AttentionSettings s = settingsOf(method, 1400);
        s.tau = 0.6;
        s.keep = 0.4;
        Told told(s);
        const AttentionCall call = callOf(0, 1400);
        const at::Tensor out = told.policy->attend(call);
        CHECK(worstShare(out, denseAttention(call)) > 1e-4);
        for (const auto& head : told.records.back().heads) {
            CHECK(head.keptShare > 0.01);
            CHECK(head.keptShare < 0.95);
        }
    }
}

TEST_CASE("one altered block changes the output of its own queries and of no others") {
    const AttentionCall call = callOf(0, 500, 1);
    const XAttention host({1.0}, 8);
    std::unique_ptr<SparseMask> mask;
    host.choose(call, {0}, mask);
    const at::Tensor all = host.attend(call, *mask);
    BlockMask altered(500, 1);
    ops::AttentionOptions lists;
    // Query block 1 does not see key block 2.
    lists.keyBlockIds =
        at::tensor(std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3}, at::kInt);
    lists.keyBlockOffsets = at::tensor(std::vector<std::int64_t>{0, 4, 7, 11, 15}, at::kLong);
    altered.take({0}, lists);
    const at::Tensor out = host.attend(call, altered);
    CHECK(out.slice(1, 0, 128).equal(all.slice(1, 0, 128)));
    CHECK(out.slice(1, 256).equal(all.slice(1, 256)));
    CHECK(worstShare(out.slice(1, 128, 256), all.slice(1, 128, 256)) > 1e-4);
    CHECK(altered.keptShare()[0] == doctest::Approx(1 - 128.0 * 128.0 / 500 / 500));
}

TEST_CASE("SVG2's clusters hold every token once, and its share counts pairs") {
    const AttentionCall call = callOf(0, 777, 1);
    const at::Tensor q = call.q[0].select(1, 0), k = call.k[0].select(1, 0), v = call.v[0].select(1, 0);
    const Clusters cq = lloyd(q, drawCentres(q, 7, 1), 3), ck = lloyd(k, drawCentres(k, 25, 2), 3);
    CHECK(cq.sizes.sum().item<std::int64_t>() == 777);
    CHECK(ck.sizes.sum().item<std::int64_t>() == 777);
    const HeadPartition part = partitionOf(cq, ck, 0.8, 0.1);
    // Pairs counted one by one through the labels, and attention under that mask.
    const at::Tensor seen = part.map.to(at::kBool).index_select(0, cq.labels).index_select(1, ck.labels);
    CHECK(part.keptShare == doctest::Approx(seen.sum().item<double>() / 777 / 777));
    const at::Tensor logits =
        (q.matmul(k.t()) / 8.0).masked_fill(~seen, -std::numeric_limits<double>::infinity());
    CHECK(worstShare(attendPartition(q, k, v, part), logits.softmax(1).matmul(v)) < 1e-5);
}

TEST_CASE("more clusters than tokens, and tokens that are all alike, still equal dense attention") {
    AttentionCall call = callOf(0, 40, 1);
    for (const bool same : {false, true}) {
        if (same)
            call.q = call.k = at::zeros_like(call.k);
        AttentionSettings s = settingsOf(AttentionMethod::Svg2, 40);
        s.queryClusters = 60;
        s.keyClusters = 60;
        s.tau = 1;
        CHECK(worstShare(makeAttentionPolicy(s)->attend(call), denseAttention(call)) < 1e-5);
    }
}

TEST_CASE("drift: equality reuses, any change refreshes at 0, and the gate decides for the layer") {
    AttentionSettings s = settingsOf(AttentionMethod::XAttention);
    s.reuse = MaskReuse::Tmr;
    s.delta = 10;
    CHECK(countRefreshed(s, drifts({10, 10, 10, 10, 10})) == 0);
    // Shares of 0.2, 0.4, 0.8 and 1 against a gate of 0.4 to 0.8: the bounds themselves leave it to heads.
    CHECK(countRefreshed(s, drifts({11, 0, 0, 0, 0})) == 0);
    CHECK(countRefreshed(s, drifts({11, 11, 0, 0, 0})) == 2);
    CHECK(countRefreshed(s, drifts({11, 11, 11, 11, 0})) == 4);
    CHECK(countRefreshed(s, drifts({11, 11, 11, 11, 11, 11, 11, 11, 11, 0})) == 10);
    CHECK(decideRefresh(s, std::vector<int>(10, 1), drifts({11, 11, 11, 11, 11, 11, 11, 11, 11, 0}))[9] ==
          RefreshReason::Gate);
    s.hardCap = true;
    CHECK(countRefreshed(s, drifts({21, 0, 0, 0, 0})) == 1);
    CHECK(countRefreshed(s, drifts({20, 0, 0, 0, 0})) == 0);
    s.maxAge = 3;
    CHECK(countRefreshed(s, drifts({0, 0, 0, 0, 0}), 2) == 0);
    CHECK(countRefreshed(s, drifts({0, 0, 0, 0, 0}), 3) == 5);
}

TEST_CASE("the decision by operators is the decision by loops") {
    std::mt19937 random(3);
    const auto drawn = [&random](int below) {
        return static_cast<int>(random() % static_cast<unsigned>(below));
    };
    int refreshed = 0, reused = 0;
    for (int round = 0; round < 400; ++round) {
        AttentionSettings s = settingsOf(AttentionMethod::XAttention);
        s.reuse = MaskReuse::Tmr;
        s.delta = drawn(5);
        s.gateLow = drawn(11) / 10.0;
        s.gateHigh = drawn(11) / 10.0;
        s.hardCap = drawn(2) == 0;
        s.maxAge = drawn(4);
        std::vector<HeadDrift> drift;
        std::vector<int> ages;
        std::vector<double> values;
        for (int h = 0; h < 10; ++h) {
            values.push_back(drawn(7)); // whole numbers, so that equality happens
            drift.push_back({values.back(), 0});
            ages.push_back(drawn(5));
        }
        constexpr int kStep = 9;
        // Queries of one channel that stand off by the drift; keys stand still.
        const at::Tensor now = at::tensor(values, at::kFloat).unsqueeze(1), still = at::zeros_like(now);
        DriftAnchor anchor{{at::zeros_like(now), still.clone()}, kStep - at::tensor(ages, at::kInt)};
        const at::Tensor before = anchor.chosenAt.clone();
        const at::Tensor got = ops::refreshWhere(refreshRule(s), kStep, {now, still}, anchor);
        const auto expected = decideRefresh(s, ages, drift);
        for (std::size_t h = 0; h < expected.size(); ++h) {
            const bool anew = expected[h] != RefreshReason::Reused;
            const auto at = static_cast<std::int64_t>(h);
            CHECK(got.const_data_ptr<bool>()[h] == anew);
            CHECK(anchor.chosenAt[at].item<int>() == (anew ? kStep : before[at].item<int>()));
            CHECK(anchor.means.q[at].item<float>() == (anew ? static_cast<float>(values[h]) : 0.0F));
            ++(anew ? refreshed : reused);
        }
    }
    CHECK(refreshed > 500);
    CHECK(reused > 300);
}

TEST_CASE("decisions that stay beside the numbers give the bits of decisions on the host") {
    AttentionSettings s = settingsOf(AttentionMethod::XAttention, 600);
    s.reuse = MaskReuse::Tmr;
    s.maxAge = 3;
    s.warmup = 1;
    for (const double delta : {0.0, 1.5, 4.0, 1e9}) {
        CAPTURE(delta);
        s.delta = delta;
        SparseAttention host(std::make_unique<FlagHost>(false), s),
            beside(std::make_unique<FlagHost>(true), s);
        for (int step = 0; step < kSteps; ++step) {
            AttentionCall call = callOf(step, 600, 5);
            // Heads drift at different speeds.
            call.q = call.q + at::arange(5, at::kFloat).view({1, 1, 5, 1}) * (0.01 * step);
            const at::Tensor expected = host.attend(call);
            CHECK(beside.attend(call).equal(expected));
            CHECK(beside.attend(call).equal(expected)); // the row again
        }
    }
}

TEST_CASE("numbers that are not finite are told of with the next step where nothing waits for the card") {
    AttentionSettings s = settingsOf(AttentionMethod::XAttention);
    SparseAttention policy(std::make_unique<FlagHost>(true), s);
    AttentionCall spoiled = callOf(1);
    spoiled.layer = 2;
    spoiled.k[0][17][1][5] = std::numeric_limits<float>::quiet_NaN();
    policy.attend(callOf(1));
    CHECK_NOTHROW(policy.attend(spoiled));
    std::string sentence;
    try {
        policy.attend(callOf(2));
    } catch (const JobError& e) {
        sentence = e.error.message;
    }
    CHECK(sentence.find("layer 3 ") != std::string::npos);
    CHECK(sentence.find("step 2.") != std::string::npos);
    // Another clip knows nothing of it.
    policy.attend(callOf(1));
    CHECK_NOTHROW(policy.attend(callOf(2)));
}

TEST_CASE("temporal mask reuse from step to step, on every host and for each branch alone") {
    for (const AttentionMethod method : kHosts) {
        CAPTURE(attentionMethodName(method));
        AttentionSettings s = settingsOf(method);
        s.reuse = MaskReuse::Tmr;
        s.delta = 0;
        Told told(s);
        told.policy->attend(callOf(0));
        CHECK(told.refreshed() == 3);
        CHECK(told.records.back().heads[0].reason == RefreshReason::First);
        told.policy->attend(callOf(1)); // the same numbers
        CHECK(told.refreshed() == 0);
        AttentionCall other = callOf(1);
        other.branch = Branch::Negative;
        told.policy->attend(other);
        CHECK(told.records.back().heads[0].reason == RefreshReason::First);
        AttentionCall moved = callOf(2);
        moved.q = moved.q.clone();
        moved.q.select(2, 1) += 1e-3;
        moved.q.select(2, 2) += 1e-3;
        told.policy->attend(moved);
        CHECK(told.refreshed() == 2);
        CHECK(told.records.back().heads[0].chosenAt == 0);
        CHECK(told.records.back().heads[1].chosenAt == 2);
        CHECK(told.records.back().heads[1].drift == doctest::Approx(64 * 1e-3).epsilon(0.01));
        // Against the step of the last choice, not the step before.
        told.policy->attend(callOf(3));
        CHECK(told.records.back().heads[1].reason == RefreshReason::Drift);

        s.delta = std::numeric_limits<double>::infinity();
        Told never(s);
        for (int step = 0; step < kSteps; ++step) {
            never.policy->attend(callOf(step, 300, 3, 64, static_cast<std::uint64_t>(step)));
            CHECK(never.refreshed() == (step == 0 ? 3 : 0));
        }
    }
}

TEST_CASE("slow drift adds up, also while the other heads choose anew") {
    AttentionSettings s = settingsOf(AttentionMethod::XAttention);
    s.reuse = MaskReuse::Tmr;
    s.delta = 1;
    Told told(s);
    std::vector<bool> chosen;
    for (int step = 0; step < 5; ++step) {
        AttentionCall call = callOf(step);
        call.q = call.q.clone();
        call.q.select(2, 0) += 0.01 * step; // 64 channels: 0.64 a step
        call.q.select(2, 1) += 0.1 * step;
        call.q.select(2, 2) += 0.1 * step;
        told.policy->attend(call);
        chosen.push_back(told.records.back().heads[0].reason != RefreshReason::Reused);
        CHECK(told.records.back().heads[1].reason != RefreshReason::Reused);
    }
    CHECK(chosen == std::vector<bool>{true, false, true, false, true});
}

TEST_CASE("a reused choice is the old one over the new numbers") {
    for (const AttentionMethod method : kHosts) {
        CAPTURE(attentionMethodName(method));
        AttentionSettings s = settingsOf(method, 1400);
        s.tau = 0.5;
        s.reuse = MaskReuse::Freeze;
        const AttentionCall first = callOf(0, 1400), second = callOf(1, 1400, 3, 64, 7);
        const auto frozen = makeAttentionPolicy(s);
        frozen->attend(first);
        const at::Tensor out = frozen->attend(second);
        s.reuse = MaskReuse::Off;
        CHECK(!out.equal(makeAttentionPolicy(s)->attend(second)));
        // The old queries and keys choose, and the new values go through them unchanged.
        AttentionCall values = first;
        values.step = 1;
        values.v = second.v;
        s.reuse = MaskReuse::Freeze;
        const auto again = makeAttentionPolicy(s);
        again->attend(first);
        const at::Tensor reused = again->attend(values);
        AttentionCall atOnce = values;
        atOnce.step = 0;
        CHECK(reused.equal(makeAttentionPolicy(s)->attend(atOnce)));
    }
}

TEST_CASE("only the heads that choose anew change their lists") {
    const AttentionCall first = callOf(0, 1400), second = callOf(1, 1400, 3, 64, 7);
    const XAttention host({0.4, 0.6, 0.8}, 16);
    std::unique_ptr<SparseMask> mixed, old, fresh;
    host.choose(first, {0, 1, 2}, mixed);
    host.choose(second, {1}, mixed);
    host.choose(first, {0, 1, 2}, old);
    host.choose(second, {0, 1, 2}, fresh);
    const at::Tensor out = host.attend(second, *mixed);
    CHECK(out.select(2, 0).equal(host.attend(second, *old).select(2, 0)));
    CHECK(out.select(2, 1).equal(host.attend(second, *fresh).select(2, 1)));
    CHECK(out.select(2, 2).equal(host.attend(second, *old).select(2, 2)));
    CHECK(!out.select(2, 1).equal(host.attend(second, *old).select(2, 1)));
}

TEST_CASE("lists on a card are read as they lie, in any order and with gaps") {
    // Two heads of two blocks; starts in the order in which entries were finished.
    ops::AttentionOptions lists;
    lists.cardLists =
        ops::CardKeyLists{128, at::tensor(std::vector<std::int32_t>{3, 2, 0, 5}, at::kInt),
                          at::tensor(std::vector<std::int32_t>{2, 1, 2, 1}, at::kInt),
                          at::tensor(std::vector<std::int32_t>{0, 1, 1, 0, 1, 0, 9, 9}, at::kInt)
                              .to(at::kShort)
                              .view(at::kUInt16)};
    BlockMask mask(200, 2);
    mask.take({0, 1}, lists);
    CHECK(mask.keptShare()[0] == doctest::Approx((128.0 * 200 + 72.0 * 72) / 200 / 200));
    CHECK(mask.keptShare()[1] == doctest::Approx((128.0 * 200 + 72.0 * 128) / 200 / 200));
}

TEST_CASE("baselines: never again, and every n steps; the first steps stay dense") {
    AttentionSettings s = settingsOf(AttentionMethod::XAttention);
    s.warmup = 2;
    s.reuse = MaskReuse::Every;
    s.refreshInterval = 3;
    Told told(s);
    std::vector<int> refreshed;
    for (int step = 0; step < kSteps; ++step) {
        const AttentionCall call = callOf(step);
        const at::Tensor out = told.policy->attend(call);
        if (step < 2) {
            CHECK(out.equal(denseAttention(call)));
            CHECK(told.records.back().mode == AttentionRecord::Mode::Warmup);
        } else {
            refreshed.push_back(told.refreshed());
        }
    }
    CHECK(refreshed == std::vector<int>{3, 0, 0, 3, 0, 0});
}

TEST_CASE("a row that is run again, and a second clip, give the same bits") {
    for (const AttentionMethod method : kHosts) {
        for (const MaskReuse reuse : {MaskReuse::Off, MaskReuse::Tmr}) {
            CAPTURE(attentionMethodName(method));
            CAPTURE(maskReuseName(reuse));
            AttentionSettings s = settingsOf(method, 600);
            s.tau = 0.6;
            s.reuse = reuse;
            s.delta = 0.5;
            s.warmup = 2;
            const auto call = [](int step) {
                return callOf(step, 600, 3, 64, static_cast<std::uint64_t>(step));
            };
            const auto plain = makeAttentionPolicy(s), twice = makeAttentionPolicy(s);
            for (int clip = 0; clip < 2; ++clip) {
                const auto fresh = makeAttentionPolicy(s);
                for (int step = 0; step < 5; ++step) {
                    const at::Tensor expected = fresh->attend(call(step));
                    CHECK(plain->attend(call(step)).equal(expected));
                    twice->attend(call(step));
                    CHECK(twice->attend(call(step)).equal(expected));
                }
            }
        }
    }
}

TEST_CASE("telemetry changes no bit") {
    for (const AttentionMethod method : kHosts) {
        AttentionSettings s = settingsOf(method, 1400);
        s.tau = 0.7;
        s.reuse = MaskReuse::Tmr;
        s.delta = 5;
        s.warmup = 1;
        Told told(s);
        const auto quiet = makeAttentionPolicy(s);
        for (int step = 0; step < 4; ++step) {
            const AttentionCall call = callOf(step, 1400, 3, 64, static_cast<std::uint64_t>(step));
            CHECK(told.policy->attend(call).equal(quiet->attend(call)));
        }
        CHECK(told.records.size() == 4);
    }
}

TEST_CASE("numbers that are not finite, and passes over chunks, are refused with a sentence") {
    for (const AttentionMethod method : kHosts) {
        for (const bool inKeys : {false, true}) {
            AttentionCall call = callOf(3);
            call.layer = 4;
            at::Tensor& spoiled = inKeys ? call.k : call.q;
            spoiled[0][17][1][5] = std::numeric_limits<float>::quiet_NaN();
            std::string sentence;
            try {
                makeAttentionPolicy(settingsOf(method))->attend(call);
            } catch (const JobError& e) {
                CHECK(e.error.code == ErrorCode::NumericOverflow);
                sentence = e.error.message;
            }
            CHECK(sentence.find("layer 5") != std::string::npos);
            CHECK(sentence.find("step 4") != std::string::npos);
        }
        AttentionCall chunked = callOf(0);
        chunked.causalBlockFrames = 1;
        CHECK_THROWS_AS(makeAttentionPolicy(settingsOf(method))->attend(chunked), JobError);
    }
}
