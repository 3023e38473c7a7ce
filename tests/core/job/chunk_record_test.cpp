#include <doctest/doctest.h>

#include "core/base/value_codec.h"
#include "core/job/chunk_record.h"
#include "core/job/generation_request.h"
#include "tests/support/fake_chunks.h"

using namespace canopy;

namespace {

/// Three chunks of six steps, two of each reused.
GenerationRequest clip() {
    GenerationRequest r;
    r.frames = 33;
    r.steps = 6;
    r.chunks.mode = SamplingMode::Chunked;
    return r;
}

} // namespace

TEST_CASE("parts add up to the record, and a part with a run starts anew") {
    const auto whole = test::fakeChunkRecord(clip());
    CHECK(whole.rows.size() == 18);
    CHECK(whole.done.size() == 3);
    CHECK(whole.compressions.size() == 1);
    auto again = whole;
    append(again, test::fakeChunkPart(clip(), 0));
    CHECK(again.rows.size() == 1);
}

TEST_CASE("a record survives CBOR, whole and in parts") {
    const auto whole = test::fakeChunkRecord(clip());
    const auto read = chunkRecordFromBytes(toCbor(toValue(whole)));
    REQUIRE_MESSAGE(read.ok(), (read ? "" : read.error().message));
    CHECK(*read == whole);
    const auto part = test::fakeChunkPart(clip(), 7);
    CHECK_FALSE(part.run);
    CHECK(*chunkRecordFromBytes(toCbor(toValue(part))) == part);
}

TEST_CASE("a damaged record is refused with the field's name") {
    const auto refused = [](auto change) {
        auto record = test::fakeChunkRecord(clip());
        change(record);
        const auto read = chunkRecordFromBytes(toCbor(toValue(record)));
        REQUIRE_FALSE(read.ok());
        return read.error().message;
    };
    const auto names = [](const std::string& text, const char* field) {
        return text.find(field) != std::string::npos;
    };
    CHECK(names(refused([](ChunkRecord& r) { r.run->times.pop_back(); }), "run.times"));
    CHECK(names(refused([](ChunkRecord& r) { r.run->staticSums.clear(); }), "run.static_reuse"));
    CHECK(names(refused([](ChunkRecord& r) { r.run->segments[0].chunks = 4; }), "run.segments"));
    CHECK(names(refused([](ChunkRecord& r) { r.rows[3].chunks[0].chunk = 3; }), "rows.chunks"));
    CHECK(names(refused([](ChunkRecord& r) { r.rows[3].kv.capacityRows = 1; }), "rows.kv.ranges"));
    CHECK(names(refused([](ChunkRecord& r) { r.compressions[0].frames[0].keptMap.pop_back(); }),
                "compressions"));
    auto value = toValue(test::fakeChunkRecord(clip()));
    value.set("rows", "many");
    CHECK(names(chunkRecordFromValue(value).error().message, "rows"));
    value.set("version", 9);
    CHECK(names(chunkRecordFromValue(value).error().message, "version 9"));
}

TEST_CASE("totals count computed steps and what the reused ones would have cost") {
    const auto totals = totalsOf(test::fakeChunkRecord(clip()));
    CHECK(totals.possible == 18);
    CHECK(totals.reused == 6);
    CHECK(totals.computed == 12);
    CHECK(totals.hitRate == doctest::Approx(1.0 / 3));
    // Contexts of 1, 2 and 3 chunks: 1e9 + n * 1e8 each.
    // The first two are passed once more at time 0, before later ones read their keys.
    const double clean = 2e9 + 3e8;
    CHECK(totals.flopNoReuse == doctest::Approx(6 * (3e9 + 6e8) + clean));
    CHECK(totals.flop == doctest::Approx(4 * (3e9 + 6e8) + clean));
    auto asWritten = clip();
    asWritten.chunks.finalize = FinalizeKv::None;
    CHECK(totalsOf(test::fakeChunkRecord(asWritten)).flop == doctest::Approx(4 * (3e9 + 6e8)));
    CHECK(totals.seconds == doctest::Approx((12 * 10 + 6) / 1000.0));
    CHECK(totalsOf({}).possible == 0);
}

TEST_CASE("block-wise settings survive a request, and unknown names are refused") {
    GenerationRequest r = clip();
    r.chunks.blockFrames = 3;
    r.chunks.arStep = 4;
    r.chunks.cache = ReuseMethod::FlowCache;
    r.chunks.feature = ReuseFeature::Latent;
    r.chunks.threshold = 0.1;
    r.chunks.quantity = ReusedQuantity::Residual;
    r.chunks.kvBudget = 5;
    r.chunks.finalize = FinalizeKv::None;
    r.chunks.forced = {{1, 2, 4}};
    r.chunks.rescale = {0, 0, 0, 1, 0};
    const auto read = generationRequestFromValue(toValue(r));
    REQUIRE_MESSAGE(read.ok(), (read ? "" : read.error().message));
    CHECK(*read == r);
    CHECK_FALSE(toValue(GenerationRequest{}).contains("chunks"));

    auto value = toValue(r.chunks);
    value.set("cache", "sometimes");
    CHECK_FALSE(chunkSettingsFromValue(value).ok());
    value = toValue(r.chunks);
    value.set("forced", Value::Array{Value::Array{1, 2.5, 3}});
    CHECK_FALSE(chunkSettingsFromValue(value).ok());
}
