#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// Bounds on untrusted text and bytes. Exceeding one is ErrorCode::Malformed with the bound in the message.
struct CodecLimits {
    std::size_t maxBytes = std::size_t{1} << 20;
    std::size_t maxDepth = 32;
    std::size_t maxValues = std::size_t{1} << 20;
    std::size_t maxStringBytes = std::size_t{1} << 20;
};

/// Strict JSON (RFC 8259): valid UTF-8, no duplicate keys, no trailing text, integers kept exact;
/// a number with a fraction or exponent becomes a double and is never read as an integer.
Result<Value> parseJson(std::string_view text, const CodecLimits& limits = {});

/// JSON text; bytes are written as base64 strings. `indent` < 0 gives one line. Doubles round-trip; NaN and
/// infinity, which JSON has not, become null.
std::string toJson(const Value& value, int indent = -1);

/// CBOR (RFC 8949): text keys only, no tags, no duplicate keys; nothing may follow the value.
Result<Value> parseCbor(std::span<const std::uint8_t> bytes, const CodecLimits& limits = {});
std::vector<std::uint8_t> toCbor(const Value& value);

} // namespace canopy
