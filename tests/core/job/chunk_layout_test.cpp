#include <doctest/doctest.h>

#include <algorithm>

#include "core/job/chunk_flop.h"
#include "core/job/chunk_layout.h"
#include "core/job/memory_plan.h"
#include "core/job/settings_schema.h"

using namespace canopy;

namespace {

/// Trained for three blocks of three latent frames.
ModelRecord model() {
    ModelRecord record;
    record.family = ModelFamily::SkyReelsDf;
    record.dit.layers = 2;
    record.dit.heads = 2;
    record.dit.headDim = 64;
    record.dit.ffnDim = 256;
    record.defaults.blockLatentFrames = 3;
    record.defaults.framesTrainedMax = 33;
    return record;
}

GenerationRequest clip(int frames, int steps = 20) {
    GenerationRequest r;
    r.prompt = "a boat";
    r.width = 64;
    r.height = 64;
    r.frames = frames;
    r.fps = 16;
    r.steps = steps;
    r.guidance = 4;
    r.shift = 5;
    r.chunks.mode = SamplingMode::Chunked;
    return r;
}

GenerationRequest filled(GenerationRequest r) {
    return withModelDefaults(std::move(r), model().defaults);
}

/// The one sentence that holds `part`; all of them where it is missing.
bool says(const GenerationRequest& r, const char* part) {
    const auto problems = checkRequest(filled(r), model());
    const bool found = std::any_of(problems.begin(), problems.end(), [&](const std::string& sentence) {
        return sentence.find(part) != std::string::npos;
    });
    for (const auto& sentence : problems)
        if (!found)
            MESSAGE(sentence);
    return found && problems.size() == 1;
}

} // namespace

TEST_CASE("a clip of the trained length is one segment, a longer one several that share a block") {
    const auto one = chunkLayout(filled(clip(33)), model().defaults);
    CHECK(one.chunks == 3);
    CHECK(one.inFlight == 1);
    CHECK(one.segments == std::vector<ChunkSegment>{{0, 3, 0}});
    // 8 blocks, 3 at once, 1 shared: 0-2, 2-4, 4-6, 6-7.
    const auto several = chunkLayout(filled(clip(93)), model().defaults);
    CHECK(several.segments == std::vector<ChunkSegment>{{0, 3, 0}, {2, 3, 1}, {4, 3, 1}, {6, 2, 1}});
    auto whole = clip(93);
    whole.chunks.segments = 1;
    CHECK(chunkLayout(filled(whole), model().defaults).segments == std::vector<ChunkSegment>{{0, 8, 0}});
    whole.chunks.segments = 2;
    CHECK(chunkLayout(filled(whole), model().defaults).segments.size() == 2);
}

TEST_CASE("blocks before the one to be made again are left out") {
    auto r = clip(93);
    r.chunks.fromChunk = 3;
    r.chunks.basePath = "earlier";
    const auto layout = chunkLayout(filled(r), model().defaults);
    CHECK(layout.segments == std::vector<ChunkSegment>{{2, 3, 1}, {4, 3, 1}, {6, 2, 1}});
    r.chunks.fromChunk = 4;
    CHECK(chunkLayout(filled(r), model().defaults).segments ==
          std::vector<ChunkSegment>{{2, 3, 2}, {4, 3, 1}, {6, 2, 1}});
}

TEST_CASE("a lag between blocks says how many are in flight") {
    auto r = clip(93);
    r.chunks.segments = 1;
    r.chunks.arStep = 5;
    CHECK(chunkLayout(filled(r), model().defaults).inFlight == 4);
    r.chunks.arStep = 0;
    CHECK(chunkLayout(filled(r), model().defaults).inFlight == 8);
}

TEST_CASE("what cannot be made in blocks is refused in a sentence before any work") {
    CHECK(checkRequest(filled(clip(33)), model()).empty());

    CHECK(says(clip(37), "no whole blocks of 3; choose 33 frames"));
    auto r = clip(93);
    r.chunks.segments = 1;
    r.chunks.arStep = 5;
    r.chunks.kvBudget = 4;
    CHECK(says(r, "4 are denoised at once"));
    r.chunks.kvBudget = 5;
    CHECK(checkRequest(filled(r), model()).empty());

    r.chunks.fromChunk = 6;
    r.chunks.basePath = "earlier";
    r.chunks.arStep = 20;
    r.chunks.kvBudget = 3;
    CHECK(says(r, "The given start is 6 blocks long"));

    r = clip(33, 6);
    r.chunks.cache = ReuseMethod::FlowCache;
    r.chunks.threshold = 0.1;
    CHECK(says(r, "no step is left that could be reused"));
    r.steps = 20;
    r.chunks.threshold = -1;
    CHECK(says(r, "needs a threshold or a hit rate"));
    r.chunks.hitRate = 0.4;
    r.chunks.feature = ReuseFeature::Latent;
    CHECK(says(r, "give a threshold instead"));

    r = clip(33);
    r.attention.method = AttentionMethod::XAttention;
    CHECK(says(r, "cannot be combined yet"));
    r = clip(33);
    r.chunks.arStep = 21;
    CHECK(says(r, "The lag between blocks is 21"));
    r = clip(33);
    r.chunks.fromChunk = 1;
    CHECK(says(r, "--base"));
    r.chunks.basePath = "earlier";
    r.chunks.fromChunk = 3;
    CHECK(says(r, "its blocks are 0 to 2"));
    r = clip(33);
    r.chunks.forced = {{3, 0, 2}};
    CHECK(says(r, "of block 3 are to be computed"));
    r = clip(33);
    r.chunks.mode = SamplingMode::Whole;
    r.chunks.kvBudget = 4;
    CHECK(says(r, "choose --mode chunked"));
}

TEST_CASE("the memory plan of keys stops growing at the budget") {
    const auto keys = [](int frames, int budget) {
        auto r = clip(frames);
        r.chunks.segments = 1;
        r.chunks.kvBudget = budget;
        std::uint64_t bytes = 0;
        for (const auto& stage : planMemory(model(), filled(r)).stages)
            for (const auto& item : stage.items)
                bytes += item.category == MemoryCategory::KeyValues ? item.bytes : 0;
        return bytes;
    };
    // 6 and 20 blocks of 3 latent frames.
    CHECK(keys(69, 5) > 0);
    CHECK(keys(69, 5) == keys(237, 5));
    CHECK(keys(237, 0) > 3 * keys(237, 5));
    CHECK(keys(33, 0) ==
          3u * 2 * 48 * 2 * 128 * 4 * 2); // chunks, k and v, tokens, layers, width, bytes, branches
}

TEST_CASE("operations of SkyReels-V2 1.3B at 544 x 960 are those of flow-cache.md 9") {
    DitConfig dit;
    dit.layers = 30;
    dit.heads = 12;
    dit.headDim = 128;
    dit.ffnDim = 8960;
    const auto flop = chunkFlop(dit, 5 * 34 * 60, 512);
    const double expected[] = {45.8e12, 65.0e12, 84.1e12, 103.3e12, 122.5e12};
    double all = 0;
    for (int n = 1; n <= 5; ++n) {
        CHECK(flop.pass(n) == doctest::Approx(expected[n - 1]).epsilon(0.01));
        all += flop.pass(n);
    }
    // 177 frames: two segments of five blocks, the second begins with one given; 50 steps, two branches.
    const double clipFlop = 2 * 50 * (all + all - flop.pass(1));
    CHECK(clipFlop == doctest::Approx(79.7e15).epsilon(0.01));
}
