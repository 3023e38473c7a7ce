#include "core/base/value_codec.h"

#include <string>

#include <doctest/doctest.h>

using namespace canopy;

TEST_CASE("JSON keeps integers exact and refuses what a strict reader must") {
    const auto value = parseJson(R"({"a": 9007199254740993, "b": [1.5, true, null, "x"]})");
    REQUIRE(value.ok());
    CHECK((*value)["a"].asInt() == 9007199254740993);
    CHECK((*value)["b"].asArray()[0].asDouble() == 1.5);
    CHECK((*value)["missing"].isNull());

    CHECK(parseJson("[1e3]")->asArray()[0].isDouble());
    for (const char* bad :
         {R"({"a":1,"a":2})", "[1,]", "[1] x", "[18446744073709551615]", "\"\xff\"", "", "[NaN]"}) {
        CAPTURE(bad);
        CHECK_FALSE(parseJson(bad).ok());
    }
    CHECK_FALSE(parseJson(std::string(40, '[') + std::string(40, ']')).ok());
}

TEST_CASE("CBOR round trips every kind of value") {
    Value value;
    value.set("null", Value()).set("yes", true).set("small", 7).set("negative", std::int64_t{-70000});
    value.set("big", std::int64_t{1} << 62).set("pi", 3.25).set("text", "häuser");
    value.set("bytes", Value::Bytes{0, 255, 3}).set("list", Value::Array{Value(1), Value("two")});
    const auto bytes = toCbor(value);
    const auto back = parseCbor(bytes);
    REQUIRE(back.ok());
    CHECK(*back == value);

    // Every prefix is refused, none crashes.
    for (std::size_t n = 0; n < bytes.size(); ++n)
        CHECK_FALSE(parseCbor(std::span(bytes).first(n)).ok());
    auto longer = bytes;
    longer.push_back(0);
    CHECK_FALSE(parseCbor(longer).ok());
}

TEST_CASE("limits hold before anything grows") {
    CodecLimits limits;
    limits.maxValues = 10;
    CHECK_FALSE(parseJson("[1,2,3,4,5,6,7,8,9,10,11]", limits).ok());
    limits.maxStringBytes = 3;
    CHECK_FALSE(parseJson("\"four\"", limits).ok());
    // An array that claims 2^60 elements.
    const std::uint8_t huge[] = {0x9B, 0x10, 0, 0, 0, 0, 0, 0, 0};
    CHECK_FALSE(parseCbor(huge).ok());
}
