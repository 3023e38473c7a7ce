#include "core/base/value_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <nlohmann/json.hpp>

namespace canopy {

namespace {

using Json = nlohmann::json;

/// The parser's sentence without its mark in brackets.
std::string plainWords(std::string_view what) {
    const auto mark = what.find("] ");
    return std::string(what.starts_with('[') && mark != what.npos ? what.substr(mark + 2) : what);
}

/// Builds a Value from parser events, so that limits and duplicate keys are checked before anything grows.
class ValueBuilder : public nlohmann::json_sax<Json> {
public:
    explicit ValueBuilder(const CodecLimits& limits)
        : m_limits(limits) {}

    Value take() { return std::move(m_root); }
    const std::string& problem() const { return m_problem; }

    bool null() override { return add(Value()); }
    bool boolean(bool v) override { return add(Value(v)); }
    bool number_integer(number_integer_t v) override { return add(Value(std::int64_t{v})); }
    bool number_unsigned(number_unsigned_t v) override {
        if (v > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
            return fail("an integer of 2^63 or more");
        return add(Value(static_cast<std::int64_t>(v)));
    }
    bool number_float(number_float_t v, const string_t&) override { return add(Value(double{v})); }
    bool string(string_t& v) override {
        if (v.size() > m_limits.maxStringBytes)
            return fail("a string of " + std::to_string(v.size()) + " bytes; at most " +
                        std::to_string(m_limits.maxStringBytes) + " are read");
        return add(Value(std::move(v)));
    }
    bool binary(binary_t& v) override { return add(Value(Value::Bytes(v.begin(), v.end()))); }
    bool start_object(std::size_t elements) override { return open(elements, Value(Value::Map{})); }
    bool start_array(std::size_t elements) override { return open(elements, Value(Value::Array{})); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& v) override {
        if (v.size() > m_limits.maxStringBytes)
            return fail("a key of " + std::to_string(v.size()) + " bytes");
        if (m_open.back().value.contains(v))
            return fail("the key \"" + v.substr(0, 64) + "\" twice in one map");
        m_open.back().key = std::move(v);
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
        if (m_problem.empty())
            m_problem = "a " + plainWords(e.what());
        return false;
    }

private:
    struct Open {
        Value value;
        std::string key;
    };

    bool fail(std::string what) {
        m_problem = std::move(what);
        return false;
    }

    bool count() {
        return ++m_values <= m_limits.maxValues ||
               fail("more than " + std::to_string(m_limits.maxValues) + " values");
    }

    bool open(std::size_t elements, Value container) {
        if (!count())
            return false;
        if (m_open.size() >= m_limits.maxDepth)
            return fail("nesting deeper than " + std::to_string(m_limits.maxDepth));
        if (elements != std::numeric_limits<std::size_t>::max() && elements > m_limits.maxValues)
            return fail("a container of " + std::to_string(elements) + " values");
        m_open.push_back({std::move(container), {}});
        return true;
    }

    bool close() {
        Value done = std::move(m_open.back().value);
        m_open.pop_back();
        return place(std::move(done));
    }

    bool add(Value v) { return count() && place(std::move(v)); }

    bool place(Value v) {
        if (m_open.empty())
            m_root = std::move(v);
        else if (m_open.back().value.isMap())
            m_open.back().value.set(m_open.back().key, std::move(v));
        else
            m_open.back().value.push(std::move(v));
        return true;
    }

    CodecLimits m_limits;
    std::vector<Open> m_open;
    Value m_root;
    std::size_t m_values = 0;
    std::string m_problem;
};

template <typename Input>
Result<Value> parse(const Input& bytes, Json::input_format_t format, const CodecLimits& limits,
                    const char* name) {
    if (bytes.size() > limits.maxBytes) {
        return makeError(ErrorCode::Malformed, std::string(name) + " of " + std::to_string(bytes.size()) +
                                                   " bytes; at most " + std::to_string(limits.maxBytes) +
                                                   " are read");
    }
    ValueBuilder builder(limits);
    bool parsed = false;
    try {
        parsed = Json::sax_parse(bytes.begin(), bytes.end(), &builder, format);
    } catch (const std::exception& e) {
        return makeError(ErrorCode::Malformed,
                         std::string("Not valid ") + name + ": " + plainWords(e.what()));
    }
    if (!parsed)
        return makeError(ErrorCode::Malformed,
                         std::string("Not valid ") + name + ": found " + builder.problem());
    return builder.take();
}

std::string base64(const Value::Bytes& bytes) {
    static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        const std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16 |
                                    (left > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8 : 0) |
                                    (left > 2 ? bytes[i + 2] : 0);
        out += kAlphabet[group >> 18];
        out += kAlphabet[group >> 12 & 63];
        out += left > 1 ? kAlphabet[group >> 6 & 63] : '=';
        out += left > 2 ? kAlphabet[group & 63] : '=';
    }
    return out;
}

Json toJsonTree(const Value& value) {
    if (value.isBool())
        return value.asBool();
    if (value.isInt())
        return value.asInt();
    if (value.isDouble())
        return std::isfinite(value.asDouble()) ? Json(value.asDouble()) : Json(nullptr);
    if (value.isString())
        return value.asString();
    if (value.isBytes())
        return base64(value.asBytes());
    if (value.isArray()) {
        Json out = Json::array();
        for (const auto& element : value.asArray())
            out.push_back(toJsonTree(element));
        return out;
    }
    if (value.isMap()) {
        Json out = Json::object();
        for (const auto& [key, element] : value.asMap())
            out[key] = toJsonTree(element);
        return out;
    }
    return nullptr;
}

// CBOR major types (RFC 8949, 3.1).
constexpr std::uint8_t kUnsigned = 0, kNegative = 1, kByteString = 2, kText = 3, kArray = 4, kMap = 5;

void writeHead(std::vector<std::uint8_t>& out, std::uint8_t major, std::uint64_t n) {
    const auto bigEndian = [&](int bytes) {
        for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
            out.push_back(static_cast<std::uint8_t>(n >> shift));
    };
    const auto type = static_cast<std::uint8_t>(major << 5);
    if (n < 24) {
        out.push_back(static_cast<std::uint8_t>(type | n));
    } else if (n <= 0xFF) {
        out.push_back(type | 24);
        bigEndian(1);
    } else if (n <= 0xFFFF) {
        out.push_back(type | 25);
        bigEndian(2);
    } else if (n <= 0xFFFFFFFF) {
        out.push_back(type | 26);
        bigEndian(4);
    } else {
        out.push_back(type | 27);
        bigEndian(8);
    }
}

void writeText(std::vector<std::uint8_t>& out, const std::string& text) {
    writeHead(out, kText, text.size());
    out.insert(out.end(), text.begin(), text.end());
}

void writeCbor(std::vector<std::uint8_t>& out, const Value& value) {
    if (value.isNull()) {
        out.push_back(0xF6);
    } else if (value.isBool()) {
        out.push_back(value.asBool() ? 0xF5 : 0xF4);
    } else if (value.isInt()) {
        const std::int64_t v = value.asInt();
        if (v >= 0)
            writeHead(out, kUnsigned, static_cast<std::uint64_t>(v));
        else
            writeHead(out, kNegative, ~static_cast<std::uint64_t>(v)); // -1 - v
    } else if (value.isDouble()) {
        const auto bits = std::bit_cast<std::uint64_t>(value.asDouble());
        out.push_back(0xFB);
        for (int shift = 56; shift >= 0; shift -= 8)
            out.push_back(static_cast<std::uint8_t>(bits >> shift));
    } else if (value.isString()) {
        writeText(out, value.asString());
    } else if (value.isBytes()) {
        writeHead(out, kByteString, value.asBytes().size());
        out.insert(out.end(), value.asBytes().begin(), value.asBytes().end());
    } else if (value.isArray()) {
        writeHead(out, kArray, value.asArray().size());
        for (const auto& element : value.asArray())
            writeCbor(out, element);
    } else {
        writeHead(out, kMap, value.asMap().size());
        for (const auto& [key, element] : value.asMap()) {
            writeText(out, key);
            writeCbor(out, element);
        }
    }
}

} // namespace

Result<Value> parseJson(std::string_view text, const CodecLimits& limits) {
    return parse(text, Json::input_format_t::json, limits, "JSON");
}

std::string toJson(const Value& value, int indent) {
    return toJsonTree(value).dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<Value> parseCbor(std::span<const std::uint8_t> bytes, const CodecLimits& limits) {
    return parse(bytes, Json::input_format_t::cbor, limits, "CBOR");
}

std::vector<std::uint8_t> toCbor(const Value& value) {
    std::vector<std::uint8_t> out;
    writeCbor(out, value);
    return out;
}

} // namespace canopy
