#include "core/base/value.h"

#include <cassert>

#include "core/base/result.h"

namespace canopy {

namespace {
const Value kNull;
const std::string kNoString;
const Value::Bytes kNoBytes;
const Value::Array kNoArray;
const Value::Map kNoMap;

struct CodeName {
    ErrorCode code;
    std::string_view name;
};
constexpr CodeName kCodeNames[] = {
    {ErrorCode::InvalidArgument, "invalid_argument"},
    {ErrorCode::NotFound, "not_found"},
    {ErrorCode::Malformed, "malformed"},
    {ErrorCode::Unsupported, "unsupported"},
    {ErrorCode::Mismatch, "mismatch"},
    {ErrorCode::OutOfMemory, "out_of_memory"},
    {ErrorCode::Io, "io"},
    {ErrorCode::Cancelled, "cancelled"},
    {ErrorCode::WorkerLost, "worker_lost"},
    {ErrorCode::NumericOverflow, "numeric_overflow"},
    {ErrorCode::Internal, "internal"},
};
} // namespace

std::string_view errorCodeName(ErrorCode code) {
    for (const auto& entry : kCodeNames) {
        if (entry.code == code)
            return entry.name;
    }
    return "internal";
}

std::optional<ErrorCode> errorCodeFromName(std::string_view name) {
    for (const auto& entry : kCodeNames) {
        if (entry.name == name)
            return entry.code;
    }
    return std::nullopt;
}

bool Value::asBool(bool fallback) const {
    const auto* v = std::get_if<bool>(&m_data);
    return v ? *v : fallback;
}

std::int64_t Value::asInt(std::int64_t fallback) const {
    const auto* v = std::get_if<std::int64_t>(&m_data);
    return v ? *v : fallback;
}

double Value::asDouble(double fallback) const {
    if (const auto* v = std::get_if<double>(&m_data))
        return *v;
    if (const auto* v = std::get_if<std::int64_t>(&m_data))
        return static_cast<double>(*v);
    return fallback;
}

const std::string& Value::asString() const {
    const auto* v = std::get_if<std::string>(&m_data);
    return v ? *v : kNoString;
}

const Value::Bytes& Value::asBytes() const {
    const auto* v = std::get_if<Bytes>(&m_data);
    return v ? *v : kNoBytes;
}

const Value::Array& Value::asArray() const {
    const auto* v = std::get_if<Array>(&m_data);
    return v ? *v : kNoArray;
}

const Value::Map& Value::asMap() const {
    const auto* v = std::get_if<Map>(&m_data);
    return v ? *v : kNoMap;
}

const Value& Value::operator[](std::string_view key) const {
    const auto& map = asMap();
    const auto it = map.find(key);
    return it == map.end() ? kNull : it->second;
}

bool Value::contains(std::string_view key) const {
    return asMap().contains(key);
}

Value& Value::set(std::string_view key, Value v) {
    if (isNull())
        m_data = Map{};
    assert(isMap());
    auto& map = std::get<Map>(m_data);
    map.insert_or_assign(std::string(key), std::move(v));
    return *this;
}

Value& Value::push(Value v) {
    if (isNull())
        m_data = Array{};
    assert(isArray());
    std::get<Array>(m_data).push_back(std::move(v));
    return *this;
}

} // namespace canopy
