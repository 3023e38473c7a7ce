// Takes of a clip, and how far a long one drifts.

#include <doctest/doctest.h>

#include <cmath>

#include "core/project/clip_drift.h"
#include "core/project/clip_takes.h"

using namespace canopy;

namespace {

Clip clip(const char* file, std::int64_t madeAt, int fromChunk = 0, const char* base = "") {
    Clip c;
    c.file = file;
    c.madeAtMillis = madeAt;
    c.request.chunks.fromChunk = fromChunk;
    c.request.chunks.basePath = base;
    return c;
}

std::vector<std::string> filesOf(const std::vector<Clip>& clips, const char* file) {
    std::vector<std::string> names;
    for (const Take& take : takesOf(clips, file))
        names.push_back(clips[take.clip].file.string() + ":" + std::to_string(take.fromChunk));
    return names;
}

constexpr int kWidth = 64, kHeight = 36;

/// Stripes of light and dark; `blur` widens their edges, `tint` is added to red.
std::vector<std::uint8_t> picture(double blur, int tint = 0, double phase = 0) {
    std::vector<std::uint8_t> rgb;
    for (int y = 0; y < kHeight; ++y)
        for (int x = 0; x < kWidth; ++x) {
            const double wave = std::tanh(std::sin(x * 0.4 + phase) / blur);
            const int v = int(128 + 80 * wave);
            rgb.insert(rgb.end(), {std::uint8_t(v + tint), std::uint8_t(v), std::uint8_t(v)});
        }
    return rgb;
}

} // namespace

TEST_CASE("a family is what all goes back to, then its takes and theirs as they were made") {
    const std::vector<Clip> clips = {clip("/c/third.mp4", 40, 1, "/c/second.mp4"), clip("/c/other.mp4", 30),
                                     clip("/c/second.mp4", 20, 3, "/c/first.mp4"), clip("/c/first.mp4", 10)};
    const std::vector<std::string> family = {"/c/first.mp4:0", "/c/second.mp4:3", "/c/third.mp4:1"};
    CHECK(filesOf(clips, "/c/first.mp4") == family);
    CHECK(filesOf(clips, "/c/third.mp4") == family);
    CHECK(filesOf(clips, "/c/other.mp4") == std::vector<std::string>{"/c/other.mp4:0"});
    CHECK(filesOf(clips, "/c/unknown.mp4").empty());
    // The first clip was deleted: its takes still belong together.
    CHECK(filesOf({clips[0], clips[1], clips[2]}, "/c/third.mp4") ==
          std::vector<std::string>{"/c/second.mp4:3", "/c/third.mp4:1"});
    // Damaged settings may name each other.
    const std::vector<Clip> circle = {clip("/c/a.mp4", 1, 1, "/c/b.mp4"), clip("/c/b.mp4", 2, 1, "/c/a.mp4")};
    CHECK(takesOf(circle, "/c/a.mp4").size() <= 2);
}

TEST_CASE("drift tells colour, sharpness and similarity apart") {
    const auto look = [](const std::vector<std::uint8_t>& rgb) { return lookOf(rgb, kWidth, kHeight); };
    const FrameLook first = look(picture(0.2));
    std::vector<FrameLook> frames = {first, first, look(picture(0.2, 30)), look(picture(2)),
                                     look(picture(0.2, 0, 3.14159))};
    const std::vector<int> begins = {0, 2, 3, 4};
    const auto drift = chunkDrift(frames, begins);
    REQUIRE(drift.size() == 4);
    CHECK(drift[0].colour == doctest::Approx(0));
    CHECK(drift[0].sharpness == doctest::Approx(1));
    CHECK(drift[0].similarity == doctest::Approx(1));
    CHECK(drift[1].colour > 5); // redder, no less sharp, light where it was
    CHECK(drift[1].sharpness == doctest::Approx(1).epsilon(0.02));
    CHECK(drift[1].similarity > 0.99);
    CHECK(drift[2].sharpness < 0.6);   // softer
    CHECK(drift[3].similarity < -0.9); // light where dark was
    CHECK(drift[3].colour < 3);

    CHECK(frameDrift(frames, 2).size() == frames.size());
    CHECK(frameDrift(frames, 2)[1].colour == doctest::Approx(0));
    // Chunks that have no frames yet are left out.
    CHECK(chunkDrift(std::span(frames).first(2), begins).size() == 1);
    CHECK(chunkDrift({}, begins).empty());
    CHECK(look({}).light.empty());
}

TEST_CASE("mean colours are those of CIELAB") {
    const auto lab = [](std::uint8_t r, std::uint8_t g, std::uint8_t b) {
        std::vector<std::uint8_t> rgb;
        for (int i = 0; i < 16; ++i)
            rgb.insert(rgb.end(), {r, g, b});
        return lookOf(rgb, 4, 4).lab;
    };
    CHECK(lab(255, 255, 255)[0] == doctest::Approx(100).epsilon(0.001));
    CHECK(lab(255, 0, 0)[0] == doctest::Approx(53.24).epsilon(0.001));
    CHECK(lab(255, 0, 0)[1] == doctest::Approx(80.09).epsilon(0.001));
    CHECK(lab(255, 0, 0)[2] == doctest::Approx(67.20).epsilon(0.001));
    CHECK(lab(0, 0, 0)[0] == doctest::Approx(0));
}
