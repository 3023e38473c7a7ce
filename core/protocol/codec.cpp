#include "core/protocol/codec.h"

#include <string>

#include "core/base/value_codec.h"
#include "core/protocol/messages.h"

namespace canopy::protocol {

Result<std::vector<std::uint8_t>> encodeFrame(const Value& message) {
    const std::vector<std::uint8_t> body = toCbor(message);
    if (body.size() > kMaxMessageBytes) {
        return makeError(ErrorCode::InvalidArgument,
                         "A message of " + std::to_string(body.size()) +
                             " bytes is above the channel's limit of " + std::to_string(kMaxMessageBytes) +
                             " bytes; shorten its text. Type: " + message["type"].asString());
    }
    std::vector<std::uint8_t> frame;
    frame.reserve(kFrameHeaderBytes + body.size());
    for (int shift = 0; shift < 32; shift += 8) {
        frame.push_back(static_cast<std::uint8_t>(body.size() >> shift));
    }
    frame.insert(frame.end(), body.begin(), body.end());
    return frame;
}

void FrameDecoder::feed(std::span<const std::uint8_t> bytes) {
    if (m_error) {
        return;
    }
    if (m_read > 0) {
        m_buffer.erase(m_buffer.begin(), m_buffer.begin() + static_cast<std::ptrdiff_t>(m_read));
        m_read = 0;
    }
    m_buffer.insert(m_buffer.end(), bytes.begin(), bytes.end());
}

Result<bool> FrameDecoder::next(Value& message) {
    if (m_error) {
        return *m_error;
    }
    if (pendingBytes() < kFrameHeaderBytes) {
        return false;
    }
    const std::uint8_t* head = m_buffer.data() + m_read;
    const std::uint32_t length =
        static_cast<std::uint32_t>(head[0]) | static_cast<std::uint32_t>(head[1]) << 8 |
        static_cast<std::uint32_t>(head[2]) << 16 | static_cast<std::uint32_t>(head[3]) << 24;
    if (length == 0 || length > kMaxMessageBytes) {
        m_error =
            makeError(ErrorCode::Malformed, "The channel announced a message of " + std::to_string(length) +
                                                " bytes; expected 1 to " + std::to_string(kMaxMessageBytes) +
                                                ". The other side is to be restarted.");
        return *m_error;
    }
    if (pendingBytes() < kFrameHeaderBytes + length) {
        return false;
    }
    Result<Value> value = parseCbor({head + kFrameHeaderBytes, length});
    if (!value || !value->isMap()) {
        m_error = makeError(ErrorCode::Malformed, "The channel carried a message that cannot be read: " +
                                                      (value ? "it is no map" : value.error().message));
        return *m_error;
    }
    m_read += kFrameHeaderBytes + length;
    message = std::move(*value);
    return true;
}

} // namespace canopy::protocol
