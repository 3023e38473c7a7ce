#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/value_codec.h"
#include "core/protocol/checksum.h"

// Private to session_writer.cpp and session_reader.cpp: the bytes that session_file.h describes.
namespace canopy::protocol::session {

inline constexpr std::string_view kFileMagic("CANOPY\r\n", 8);
inline constexpr std::string_view kRecordMark("CREC", 4);
inline constexpr std::string_view kTrailerMagic("CANOPYIX", 8);
inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kRecordHeaderBytes = 20;
inline constexpr std::size_t kTrailerBytes = 16;
inline constexpr std::size_t kIndexEntryBytes = 32;
inline constexpr std::uint32_t kMaxPayloadBytes = std::uint32_t{1} << 30;
inline constexpr std::uint32_t kMessageKind = 1;
inline constexpr std::uint32_t kBlobKind = 2;
inline constexpr std::uint32_t kIndexKind = 3;

/// Messages of a record hold what one frame of the channel may hold, and a little around it.
inline constexpr CodecLimits kMessageLimits{std::size_t{2} << 20, 40, std::size_t{1} << 20,
                                            std::size_t{2} << 20};
/// An index of eight million records.
inline constexpr CodecLimits kIndexLimits{std::size_t{300} << 20, 8, std::size_t{1} << 20,
                                          std::size_t{300} << 20};

template <typename T>
void put(std::vector<std::uint8_t>& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

template <typename T>
T get(const std::uint8_t* bytes) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value |= static_cast<T>(static_cast<T>(bytes[i]) << (8 * i));
    }
    return value;
}

struct RecordHeader {
    std::uint32_t kind = 0;
    std::uint32_t length = 0; ///< of the payload
    std::uint32_t payloadCrc = 0;
};

inline std::vector<std::uint8_t> encodeHeader(const RecordHeader& header) {
    std::vector<std::uint8_t> out(kRecordMark.begin(), kRecordMark.end());
    put(out, header.kind);
    put(out, header.length);
    put(out, crc32(std::span(out).subspan(4, 8)));
    put(out, header.payloadCrc);
    return out;
}

/// Empty unless the 20 bytes are a record's header with the right CRC and a known kind.
inline std::optional<RecordHeader> decodeHeader(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < kRecordHeaderBytes || std::memcmp(bytes.data(), kRecordMark.data(), 4) != 0) {
        return {};
    }
    const RecordHeader header{get<std::uint32_t>(&bytes[4]), get<std::uint32_t>(&bytes[8]),
                              get<std::uint32_t>(&bytes[16])};
    if (crc32(bytes.subspan(4, 8)) != get<std::uint32_t>(&bytes[12]) || header.length > kMaxPayloadBytes) {
        return {};
    }
    return header;
}

} // namespace canopy::protocol::session
