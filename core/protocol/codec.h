#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::protocol {

/// A frame is a length (u32, little-endian, 1 to kMaxMessageBytes) and that many bytes: one CBOR map.
inline constexpr std::size_t kFrameHeaderBytes = 4;

/// Refused when the message is above kMaxMessageBytes.
Result<std::vector<std::uint8_t>> encodeFrame(const Value& message);

/// Turns a byte stream, fed in pieces of any size, into messages. The length is checked before anything is
/// allocated for it. After an error the stream cannot be trusted any more: next() repeats the error.
class FrameDecoder {
public:
    void feed(std::span<const std::uint8_t> bytes);
    /// Moves the next whole message into `message`; false when more bytes are needed.
    Result<bool> next(Value& message);
    /// Bytes held of a message that is not whole yet.
    std::size_t pendingBytes() const { return m_buffer.size() - m_read; }

private:
    std::vector<std::uint8_t> m_buffer;
    std::size_t m_read = 0; ///< bytes of m_buffer already turned into messages
    std::optional<Error> m_error;
};

} // namespace canopy::protocol
