#include <doctest/doctest.h>

#include "core/base/value_codec.h"
#include "core/job/attention_telemetry.h"

using namespace canopy;

namespace {

AttentionStep someStep() {
    AttentionRecord dense{3, 0, GuidanceBranch::Prompt, AttentionRecord::Mode::Warmup, {}, 0, 0.5};
    AttentionRecord sparse{3, 1, GuidanceBranch::Negative, AttentionRecord::Mode::Sparse, {}, 0.01, 0.2};
    sparse.heads = {{0.25, RefreshReason::Reused, 1.5, 0.1, 2}, {0.5, RefreshReason::Drift, 9, 0.4, 3}};
    return {3, 30, 1.25, {dense, sparse}};
}

} // namespace

TEST_CASE("records of attention survive their wire form, and damaged ones are refused with a sentence") {
    const AttentionStep step = someStep();
    const auto wire = parseCbor(toCbor(toValue(step)));
    REQUIRE(wire.ok());
    const auto back = attentionStepFromValue(*wire);
    REQUIRE_MESSAGE(back.ok(), back.error().message);
    CHECK(*back == step);

    const auto refused = [](Value value) {
        const auto read = attentionStepFromValue(value);
        REQUIRE(!read.ok());
        CHECK(read.error().message.find("cannot be read") != std::string::npos);
    };
    refused({});
    refused(toValue(step).set("steps", 3)); // step 3 is no step of three
    for (const char* key : {"kept", "reason", "drift", "chosen_at"}) {
        Value call = toValue(step.calls[1]);
        call.set(key, Value::Array{});
        refused(toValue(step).set("calls", Value::Array{call}));
    }
    refused(toValue(step).set("calls", Value::Array{toValue(step.calls[0]).set("branch", "third")}));
}

TEST_CASE("block masks survive their wire form, and bytes that do not fit are refused") {
    BlockBitmap map = emptyBitmap(17);
    CHECK(map.rowBytes() == 3);
    map.layer = 4;
    map.head = 5;
    map.step = 6;
    map.keep(0, 0);
    map.keep(3, 7);
    map.keep(16, 16);
    CHECK(map.kept(3, 7));
    CHECK_FALSE(map.kept(7, 3));
    const auto wire = parseCbor(toCbor(toValue(std::vector{map})));
    REQUIRE(wire.ok());
    const auto back = blockBitmapsFromValue(*wire);
    REQUIRE_MESSAGE(back.ok(), back.error().message);
    CHECK(back->front() == map);

    BlockBitmap cut = map;
    cut.bits.pop_back();
    CHECK(!blockBitmapsFromValue(toValue(std::vector{cut})).ok());
    BlockBitmap huge = map;
    huge.blocks = 1 << 20;
    CHECK(!blockBitmapsFromValue(toValue(std::vector{huge})).ok());
}

TEST_CASE("the summary counts dense calls apart and means shares over heads of sparse ones") {
    const Value sum = attentionSummary(someStep().calls);
    CHECK(sum["calls"].asInt() == 2);
    CHECK(sum["dense_calls"].asInt() == 1);
    CHECK(sum["kept_share"].asDouble() == doctest::Approx(0.375));
    CHECK(sum["reused_share"].asDouble() == doctest::Approx(0.5));
    CHECK(sum["attention_seconds"].asDouble() == doctest::Approx(0.7));
}
