#include "core/project/clip_pairs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "core/job/settings_comparison.h"
#include "core/project/similarity.h"

using namespace canopy;

namespace {

Clip clip(AttentionMethod method, std::uint64_t seed = 7) {
    Clip c;
    c.request.prompt = "a red fox";
    c.request.modelId = "starter";
    c.request.width = 320;
    c.request.height = 192;
    c.request.frames = 33;
    c.request.steps = 16;
    c.request.seed = seed;
    c.request.precision = Precision::BFloat16;
    c.request.attention.method = method;
    c.request.kernelSet = "avx512bf16";
    return c;
}

} // namespace

TEST_CASE("the newest accelerated clip finds its dense twin") {
    std::vector<Clip> clips = {clip(AttentionMethod::XAttention, 9), clip(AttentionMethod::XAttention),
                               clip(AttentionMethod::Dense, 8), clip(AttentionMethod::Dense)};
    auto pair = newestPair(clips);
    REQUIRE(pair.has_value());
    CHECK(pair->accelerated == 1); // the newest one (seed 9) has no twin
    CHECK(pair->dense == 3);
    clips[3].request.guidance = 2; // another shot
    CHECK_FALSE(newestPair(clips).has_value());
}

TEST_CASE("a twin of equal rounding comes before a newer one of another precision") {
    std::vector<Clip> clips = {clip(AttentionMethod::Svg2), clip(AttentionMethod::Dense),
                               clip(AttentionMethod::Dense)};
    clips[1].request.precision = Precision::Float32;
    CHECK(newestPair(clips)->dense == 2);
    CHECK(roundingOf(clips, clips[2].request) == 1);
    clips.pop_back();
    CHECK(newestPair(clips)->dense == 1);
    CHECK_FALSE(roundingOf(clips, clips[1].request).has_value()); // a clip is no rounding of itself
}

TEST_CASE("a dense twin differs in nothing but what saves work") {
    const auto fast = clip(AttentionMethod::XAttention).request;
    const auto dense = denseTwin(fast);
    CHECK_FALSE(isAccelerated(dense));
    CHECK(isSameShot(dense, fast));
    CHECK(dense.kernelSet.empty()); // resolved anew
    CHECK(isRounding(roundedTwin(dense), dense));
    CHECK_FALSE(isRounding(fast, dense));
}

TEST_CASE("reused steps and squeezed keys save work, blocks do not") {
    auto blocks = clip(AttentionMethod::Dense).request;
    blocks.chunks.mode = SamplingMode::Chunked;
    blocks.chunks.blockFrames = 3;
    blocks.chunks.warmup = 5; // as a resolved request has it, whether steps are reused or not
    CHECK_FALSE(isAccelerated(blocks));
    CHECK_FALSE(isSameShot(blocks, clip(AttentionMethod::Dense).request));
    CHECK(isRounding(roundedTwin(blocks), blocks));
    auto reused = blocks, squeezed = blocks, asWritten = blocks;
    reused.chunks.cache = ReuseMethod::FlowCache;
    reused.chunks.threshold = 0.1;
    reused.chunks.forced = {{1, 2, 3}};
    squeezed.chunks.kvBudget = 4;
    asWritten.chunks.finalize = FinalizeKv::None;
    for (const auto& fast : {reused, squeezed, asWritten}) {
        CHECK(isAccelerated(fast));
        CHECK_FALSE(isAccelerated(denseTwin(fast)));
        CHECK(denseTwin(fast).chunks.mode == SamplingMode::Chunked);
        CHECK(denseTwin(fast).chunks.blockFrames == 3);
        CHECK(isSameShot(denseTwin(fast), blocks));
        CHECK_FALSE(isRounding(fast, blocks));
    }
    auto other = reused;
    other.chunks.blockFrames = 4;
    CHECK_FALSE(isSameShot(other, blocks));
    const auto differences = compareSettings(blocks, reused).differences;
    const auto has = [&](const SettingDifference& wanted) {
        return std::find(differences.begin(), differences.end(), wanted) != differences.end();
    };
    CHECK(has({"Reuse of steps", "none", "FlowCache"}));
    CHECK(has({"Threshold of change", "none", "0.1"}));
    CHECK(has({"Steps never reused first", "none", "5"}));
    CHECK(has({"Forced steps, ranges", "none", "1"}));
    CHECK(compareSettings(blocks, squeezed).differences.front() ==
          SettingDifference{"Memory of keys, blocks", "none", "4"});
    auto whole = blocks;
    whole.chunks = {};
    CHECK(compareSettings(whole, blocks).differences.front() ==
          SettingDifference{"Made", "whole", "in blocks"});
}

TEST_CASE("settings that differ are told in words, unused ones as none") {
    auto a = clip(AttentionMethod::Dense).request, b = clip(AttentionMethod::XAttention).request;
    b.attention.reuse = MaskReuse::Tmr;
    b.attention.delta = 30;
    const auto compared = compareSettings(a, b);
    const auto has = [&](const SettingDifference& wanted) {
        return std::find(compared.differences.begin(), compared.differences.end(), wanted) !=
               compared.differences.end();
    };
    CHECK(compared.differences.front() == SettingDifference{"Attention", "dense", "XAttention"});
    CHECK(has({"Mask reuse", "none", "TMR"}));
    CHECK(has({"Drift threshold", "none", "30"}));
    CHECK_FALSE(has({"Query clusters", "none", "-1"})); // SVG2's
    CHECK(std::find(compared.equal.begin(), compared.equal.end(), "Seed") != compared.equal.end());
    CHECK(compareSettings(a, a).differences.empty());
    b = a;
    b.seed = 8;
    CHECK(compareSettings(a, b).differences == std::vector<SettingDifference>{{"Seed", "7", "8"}});
}

TEST_CASE("similarity in words") {
    const double none = std::numeric_limits<double>::infinity();
    CHECK(similarityOf(none, 1, true) == Similarity::Identical);
    CHECK(similarityOf(39, 0.98, false) == Similarity::Alike);
    CHECK(similarityOf(39, 0.90, false) == Similarity::SameShot);
    CHECK(similarityOf(25, 0.60, false) == Similarity::SameIdea);
    CHECK(similarityOf(12, 0.90, false) == Similarity::Different);
    CHECK(similarityWords(Similarity::SameShot) == "Same shot");
}
