#include "core/protocol/checksum.h"

#include <xxhash.h>

#include <array>

namespace canopy::protocol {
namespace {

/// Four tables, so that four bytes are taken per round ("slicing by four").
constexpr std::array<std::array<std::uint32_t, 256>, 4> makeTables() {
    std::array<std::array<std::uint32_t, 256>, 4> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
        }
        tables[0][i] = value;
    }
    for (std::size_t t = 1; t < 4; ++t) {
        for (std::size_t i = 0; i < 256; ++i) {
            tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
        }
    }
    return tables;
}

constexpr auto kTables = makeTables();

} // namespace

std::uint64_t blobHash(std::span<const std::uint8_t> bytes) {
    return XXH64(bytes.data(), bytes.size(), 0);
}

std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t seed) {
    std::uint32_t crc = ~seed;
    std::size_t i = 0;
    for (; i + 4 <= bytes.size(); i += 4) {
        crc ^= static_cast<std::uint32_t>(bytes[i]) | static_cast<std::uint32_t>(bytes[i + 1]) << 8 |
               static_cast<std::uint32_t>(bytes[i + 2]) << 16 |
               static_cast<std::uint32_t>(bytes[i + 3]) << 24;
        crc = kTables[3][crc & 0xFF] ^ kTables[2][(crc >> 8) & 0xFF] ^ kTables[1][(crc >> 16) & 0xFF] ^
              kTables[0][crc >> 24];
    }
    for (; i < bytes.size(); ++i) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ bytes[i]) & 0xFF];
    }
    return ~crc;
}

} // namespace canopy::protocol
