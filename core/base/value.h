#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace canopy {

/// A self-describing value: what messages, settings, configs and session records are made of.
/// Unknown keys of a map are kept, so that a reader of an older version passes them through.
/// Integers are exact 64-bit; 2^63 and above do not occur in our formats and are refused by the codecs.
class Value {
public:
    using Bytes = std::vector<std::uint8_t>;
    using Array = std::vector<Value>;
    using Map = std::map<std::string, Value, std::less<>>;

    Value() = default;
    Value(bool v)
        : m_data(v) {}
    Value(int v)
        : m_data(std::int64_t{v}) {}
    Value(unsigned v)
        : m_data(std::int64_t{v}) {}
    Value(std::int64_t v)
        : m_data(v) {}
    Value(std::uint64_t v)
        : m_data(static_cast<std::int64_t>(v)) {}
    Value(double v)
        : m_data(v) {}
    Value(const char* v)
        : m_data(std::string(v)) {}
    Value(std::string_view v)
        : m_data(std::string(v)) {}
    Value(std::string v)
        : m_data(std::move(v)) {}
    Value(Bytes v)
        : m_data(std::move(v)) {}
    Value(Array v)
        : m_data(std::move(v)) {}
    Value(Map v)
        : m_data(std::move(v)) {}

    bool isNull() const { return std::holds_alternative<std::monostate>(m_data); }
    bool isBool() const { return std::holds_alternative<bool>(m_data); }
    bool isInt() const { return std::holds_alternative<std::int64_t>(m_data); }
    bool isDouble() const { return std::holds_alternative<double>(m_data); }
    bool isNumber() const { return isInt() || isDouble(); }
    bool isString() const { return std::holds_alternative<std::string>(m_data); }
    bool isBytes() const { return std::holds_alternative<Bytes>(m_data); }
    bool isArray() const { return std::holds_alternative<Array>(m_data); }
    bool isMap() const { return std::holds_alternative<Map>(m_data); }

    /// Checked reads: the fallback is returned when the type is another one. asDouble accepts integers.
    bool asBool(bool fallback = false) const;
    std::int64_t asInt(std::int64_t fallback = 0) const;
    double asDouble(double fallback = 0) const;
    const std::string& asString() const; ///< empty when not a string
    const Bytes& asBytes() const;        ///< empty when not bytes
    const Array& asArray() const;        ///< empty when not an array
    const Map& asMap() const;            ///< empty when not a map

    /// Member of a map; a null value when this is no map or has no such key.
    const Value& operator[](std::string_view key) const;
    bool contains(std::string_view key) const;
    /// Writes a member; turns a null value into a map first. Must be a map or null.
    Value& set(std::string_view key, Value v);
    /// Appends; turns a null value into an array first. Must be an array or null.
    Value& push(Value v);

    bool operator==(const Value&) const = default;

private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes, Array, Map> m_data;
};

} // namespace canopy
