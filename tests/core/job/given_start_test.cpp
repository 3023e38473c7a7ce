// Clips that begin with a given image or video, and clips made in segments: what the layout makes of them.

#include <doctest/doctest.h>

#include <algorithm>

#include "core/job/chunk_layout.h"
#include "core/job/settings_schema.h"
#include "tests/support/small_model.h"

using namespace canopy;

namespace {

ModelRecord model() {
    auto m = test::smallModel();
    m.defaults.blockLatentFrames = 3;
    m.defaults.framesTrainedMax = 33; // three blocks
    return m;
}

/// Of so many blocks.
GenerationRequest clip(int blocks) {
    GenerationRequest r;
    r.prompt = "a red boat";
    r.frames = pixelFrames(3 * blocks);
    r.steps = 10;
    r.chunks.mode = SamplingMode::Chunked;
    return withModelDefaults(r, model().defaults);
}

bool refused(const GenerationRequest& r, std::string_view part) {
    const auto problems = checkRequest(r, model());
    return std::any_of(problems.begin(), problems.end(),
                       [&](const auto& p) { return p.find(part) != std::string::npos; });
}

} // namespace

TEST_CASE("a long clip is cut into segments that share their overlap") {
    auto r = clip(7);
    CHECK(checkRequest(r, model()).empty());
    using Segments = std::vector<ChunkSegment>;
    CHECK(chunkLayout(r, model().defaults).segments == Segments{{0, 3, 0}, {2, 3, 1}, {4, 3, 1}});
    r.chunks.overlapFrames = 6;
    CHECK(chunkLayout(r, model().defaults).segments ==
          Segments{{0, 3, 0}, {1, 3, 2}, {2, 3, 2}, {3, 3, 2}, {4, 3, 2}});
    r.chunks.overlapFrames = 3;
    r.chunks.segments = 1;
    CHECK(chunkLayout(r, model().defaults).segments == Segments{{0, 7, 0}});
    r.chunks.segments = 2;
    CHECK(chunkLayout(r, model().defaults).segments == Segments{{0, 4, 0}, {3, 4, 1}});
    r.chunks.overlapFrames = 4;
    CHECK(refused(r, "choose whole blocks of 3"));
}

TEST_CASE("a given start is finished where it fills blocks and held where it does not") {
    auto r = clip(3);
    r.imagePath = "/a.png";
    auto layout = chunkLayout(r, model().defaults);
    CHECK(layout.givenFrames == 1);
    CHECK(layout.heldFrames == 1);
    CHECK(layout.segments.at(0).prefixChunks == 0);
    r.imagePath.clear();
    r.imagePixelsPath = "/a.image.safetensors"; // as the worker sees it
    CHECK(chunkLayout(r, model().defaults).heldFrames == 1);
    r.imagePixelsPath.clear();

    r.imagePath = "/a.mp4";
    r.chunks.givenFrames = 5;
    layout = chunkLayout(r, model().defaults);
    CHECK(layout.givenFrames == 5);
    CHECK(layout.heldFrames == 2);
    CHECK(layout.segments.at(0).prefixChunks == 1);
}

TEST_CASE("a start longer than the first segment begins in a later one") {
    auto r = clip(7);
    r.imagePath = "/a.mp4";
    r.chunks.givenFrames = 3 * 3 + 1;
    const auto layout = chunkLayout(r, model().defaults);
    CHECK(layout.segments == std::vector<ChunkSegment>{{2, 3, 1}, {4, 3, 1}});
    CHECK(layout.heldFrames == 1);
}

TEST_CASE("starts that cannot be used get a sentence each") {
    auto r = clip(3);
    r.imagePath = "/a.mp4";
    r.chunks.givenFrames = 9;
    CHECK(refused(r, "fills the whole clip"));
    r.chunks.givenFrames = 3;
    CHECK(checkRequest(r, model()).empty());
    r.imagePath.clear();
    CHECK(refused(r, "no video was given"));
    r.imagePath = "/a.mp4";
    auto textOnly = model();
    textOnly.family = ModelFamily::WanT2v;
    const auto problems = checkRequest(r, textOnly);
    CHECK(std::any_of(problems.begin(), problems.end(),
                      [](const auto& p) { return p.find("clips from text only") != std::string::npos; }));
    r.chunks.mode = SamplingMode::Whole;
    CHECK(refused(r, "A video can only start a clip that is made in blocks"));
    // Memory for keys that the start alone would fill.
    auto tight = clip(3);
    tight.imagePath = "/a.mp4";
    tight.chunks.givenFrames = 6;
    tight.chunks.kvBudget = 2;
    CHECK(refused(tight, "The given start is 2 blocks long"));
}

TEST_CASE("the start is part of the stored settings") {
    auto r = clip(3);
    r.imagePath = "/a.mp4";
    r.chunks.givenFrames = 5;
    const auto read = generationRequestFromValue(toValue(r));
    REQUIRE(read.ok());
    CHECK(*read == r);
}
