#include "core/job/chunk_forecast.h"

#include <doctest/doctest.h>

#include "tests/support/fake_chunks.h"

using namespace canopy;

namespace {

/// Three chunks of six steps; a computed step takes 10 ms, every third is reused and takes 1 ms.
GenerationRequest request() {
    GenerationRequest r;
    r.frames = 33;
    r.steps = 6;
    r.chunks.mode = SamplingMode::Chunked;
    return r;
}

ChunkRecord after(int rows) {
    ChunkRecord record;
    for (int row = 0; row < rows; ++row)
        append(record, test::fakeChunkPart(request(), row));
    return record;
}

} // namespace

TEST_CASE("what is left is what the same steps took before") {
    constexpr double kChunk = 4 * 0.010 + 2 * 0.001;
    const auto middle = chunkForecast(after(6 + 3));
    REQUIRE(middle.secondsLeft.size() == 3);
    CHECK(middle.secondsLeft[0] == 0);
    CHECK(middle.secondsLeft[1] == doctest::Approx(2 * 0.010 + 0.001));
    CHECK(middle.secondsLeft[2] == doctest::Approx(kChunk));
    CHECK(middle.seconds == doctest::Approx(middle.secondsLeft[1] + middle.secondsLeft[2]));
    CHECK(middle.spread > 0);

    // Decoding and whatever else happens between rows, once a chunk.
    CHECK(chunkForecast(after(9), 0.5).secondsLeft[2] == doctest::Approx(kChunk + 0.5));
    CHECK(chunkForecast(after(9), 0.5).secondsLeft[0] == 0);
}

TEST_CASE("a map that is known before sampling counts before any chunk is finished") {
    const auto early = chunkForecast(after(3)); // two computed and one reused step
    CHECK(early.secondsLeft[0] == doctest::Approx(2 * 0.010 + 0.001));
    CHECK(early.secondsLeft[1] == doctest::Approx(4 * 0.010 + 2 * 0.001));
}

TEST_CASE(
    "nothing is predicted before the first row, nothing is left after the last, nothing of what is given") {
    CHECK(chunkForecast({}).secondsLeft.empty());
    ChunkRecord begun;
    begun.run = after(1).run;
    CHECK(chunkForecast(begun).seconds == 0);
    const auto over = chunkForecast(after(18));
    CHECK(over.seconds == 0);
    CHECK(over.secondsLeft == std::vector<double>{0, 0, 0});
    ChunkRecord late = after(1);
    late.run->segments = {{0, 3, 2}};
    late.rows[0].chunks[0].chunk = 2;
    CHECK(chunkForecast(late).secondsLeft[0] == 0);
    CHECK(chunkForecast(late).secondsLeft[1] == 0);
    CHECK(chunkForecast(late).secondsLeft[2] > 0);
}
