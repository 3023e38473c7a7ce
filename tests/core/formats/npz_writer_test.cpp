#include <array>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <doctest/doctest.h>

#include "core/formats/npz_writer.h"

using namespace canopy;

namespace {

std::uint32_t number(const std::vector<std::uint8_t>& bytes, std::size_t at, int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i)
        value |= std::uint32_t(bytes[at + std::size_t(i)]) << (8 * i);
    return value;
}

/// Bit by bit, without a table.
std::uint32_t slowCrc(const std::uint8_t* bytes, std::size_t count) {
    std::uint32_t c = ~0u;
    for (std::size_t i = 0; i < count; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            const bool carry = ((c ^ (std::uint32_t(bytes[i]) >> bit)) & 1) != 0;
            c = carry ? (c >> 1) ^ 0xEDB88320u : c >> 1;
        }
    return ~c;
}

} // namespace

TEST_CASE("arrays as an .npz: members lie where the directory says, with header, values and checksum") {
    NpzWriter writer;
    const std::array<float, 6> values = {0, 1, 2, 3, 4, 0.5f};
    const std::array<std::int64_t, 2> shape = {2, 3};
    const std::array<std::int32_t, 1> one = {-7};
    writer.add("kept", shape, std::span<const float>(values));
    writer.add("step", {}, std::span<const std::int32_t>(one));
    const auto file = writer.finish();
    REQUIRE(file.ok());
    const auto& bytes = *file;

    const std::size_t end = bytes.size() - 22;
    REQUIRE(number(bytes, end, 4) == 0x06054b50);
    REQUIRE(number(bytes, end + 10, 2) == 2);
    std::size_t entry = number(bytes, end + 16, 4);
    for (const std::string name : {"kept.npy", "step.npy"}) {
        REQUIRE(number(bytes, entry, 4) == 0x02014b50);
        const std::size_t size = number(bytes, entry + 24, 4), local = number(bytes, entry + 42, 4);
        CHECK(std::string(bytes.begin() + std::ptrdiff_t(entry) + 46,
                          bytes.begin() + std::ptrdiff_t(entry) + 46 + 8) == name);
        REQUIRE(number(bytes, local, 4) == 0x04034b50);
        const std::uint8_t* npy = bytes.data() + local + 30 + name.size();
        CHECK(number(bytes, local + 14, 4) == slowCrc(npy, size));
        CHECK(number(bytes, entry + 16, 4) == slowCrc(npy, size));
        CHECK(std::memcmp(npy, "\x93NUMPY\x01\x00", 8) == 0);
        const std::size_t header = std::size_t(npy[8]) | std::size_t(npy[9]) << 8;
        CHECK((10 + header) % 64 == 0);
        const std::string words(npy + 10, npy + 10 + header);
        CHECK(words.back() == '\n');
        if (name == "kept.npy") {
            CHECK(words.find("'descr': '<f4', 'fortran_order': False, 'shape': (2,3,)") != words.npos);
            CHECK(size == 10 + header + sizeof values);
            CHECK(std::memcmp(npy + 10 + header, values.data(), sizeof values) == 0);
        } else {
            CHECK(words.find("'shape': ()") != words.npos);
        }
        entry += 46 + name.size();
    }
    CHECK(entry == end);
}

TEST_CASE("arrays as an .npz: wrong shapes and taken names are refused") {
    NpzWriter writer;
    const std::array<double, 2> values = {1, 2};
    const std::array<std::int64_t, 1> right = {2}, wrong = {3};
    CHECK_THROWS_AS(writer.add("a", wrong, std::span<const double>(values)), std::invalid_argument);
    writer.add("a", right, std::span<const double>(values));
    CHECK_THROWS_AS(writer.add("a", right, std::span<const double>(values)), std::invalid_argument);
    CHECK_THROWS_AS(writer.add("a/b", right, std::span<const double>(values)), std::invalid_argument);
}
