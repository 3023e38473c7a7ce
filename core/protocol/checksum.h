#pragma once

#include <cstdint>
#include <span>

namespace canopy::protocol {

/// XXH64 with seed 0: names blobs and proves that they arrived whole.
std::uint64_t blobHash(std::span<const std::uint8_t> bytes);

/// CRC-32 (IEEE 802.3, reflected): guards each record of a session file. `seed` continues an earlier result.
std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t seed = 0);

} // namespace canopy::protocol
