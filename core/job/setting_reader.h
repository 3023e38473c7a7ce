#pragma once

// Private to core/job: how settings are read out of a map.

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// Names of an enum's values in order, for both directions.
template <typename Enum, std::size_t N>
std::optional<Enum> fromName(const std::string_view (&names)[N], std::string_view name) {
    for (std::size_t i = 0; i < N; ++i)
        if (names[i] == name)
            return static_cast<Enum>(i);
    return std::nullopt;
}

/// Whether a map of settings says a version that this program reads: 1 to `newest`.
Result<void> checkSettingsVersion(const Value& value, int newest);

/// Reads members of one map; keeps the first thing that is wrong. A missing member leaves the field as it is.
class SettingReader {
public:
    explicit SettingReader(const Value& map)
        : m_map(map) {}

    void read(std::string_view key, std::string& field) {
        if (const Value* v = member(key, &Value::isString, "a text"))
            field = v->asString();
    }
    void read(std::string_view key, bool& field) {
        if (const Value* v = member(key, &Value::isBool, "true or false"))
            field = v->asBool();
    }
    void read(std::string_view key, double& field) {
        if (const Value* v = member(key, &Value::isNumber, "a number")) {
            if (!std::isfinite(v->asDouble()))
                return fail(key, "a finite number");
            field = v->asDouble();
        }
    }
    void read(std::string_view key, int& field) {
        if (const Value* v = member(key, &Value::isInt, "a whole number")) {
            const std::int64_t n = v->asInt();
            if (n < std::numeric_limits<int>::min() || n > std::numeric_limits<int>::max())
                return fail(key, "a whole number below 2147483648");
            field = static_cast<int>(n);
        }
    }
    void read(std::string_view key, std::uint64_t& field) {
        if (const Value* v = member(key, &Value::isInt, "a whole number")) {
            if (v->asInt() < 0)
                return fail(key, "a whole number that is not negative");
            field = static_cast<std::uint64_t>(v->asInt());
        }
    }
    template <typename Enum, std::size_t N>
    void read(std::string_view key, const std::string_view (&names)[N], Enum& field) {
        if (const Value* v = member(key, &Value::isString, "a text")) {
            if (const auto known = fromName<Enum>(names, v->asString())) {
                field = *known;
                return;
            }
            std::string expected;
            for (std::size_t i = 0; i < N; ++i)
                expected += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(names[i]);
            fail(key, expected);
        }
    }
    template <typename Enum>
    void read(std::string_view key, std::optional<Enum> (*fromText)(std::string_view), Enum& field) {
        if (const Value* v = member(key, &Value::isString, "a text")) {
            if (const auto known = fromText(v->asString()))
                field = *known;
            else
                fail(key, "a name that this program knows (\"" + v->asString() + "\")");
        }
    }
    void read(std::string_view key, std::vector<std::string>& field) {
        if (const Value* v = member(key, &Value::isArray, "a list of texts")) {
            field.clear();
            for (const Value& item : v->asArray()) {
                if (!item.isString())
                    return fail(key, "a list of texts");
                field.push_back(item.asString());
            }
        }
    }
    void read(std::string_view key, std::vector<double>& field) {
        if (const Value* v = member(key, &Value::isArray, "a list of numbers")) {
            field.clear();
            for (const Value& item : v->asArray()) {
                if (!item.isNumber() || !std::isfinite(item.asDouble()))
                    return fail(key, "a list of finite numbers");
                field.push_back(item.asDouble());
            }
        }
    }
    void read(std::string_view key, std::vector<std::vector<double>>& field) {
        if (const Value* v = member(key, &Value::isArray, "a table of numbers")) {
            field.clear();
            for (const Value& row : v->asArray()) {
                if (!row.isArray())
                    return fail(key, "a table of numbers");
                field.emplace_back();
                for (const Value& item : row.asArray()) {
                    if (!item.isNumber() || !std::isfinite(item.asDouble()))
                        return fail(key, "a table of finite numbers");
                    field.back().push_back(item.asDouble());
                }
            }
        }
    }
    template <typename Int>
    requires std::is_same_v<Int, std::int32_t> || std::is_same_v<Int, std::int64_t>
    void read(std::string_view key, std::vector<Int>& field) {
        if (const Value* v = member(key, &Value::isArray, "a list of whole numbers")) {
            field.clear();
            for (const Value& item : v->asArray()) {
                if (!item.isInt() || item.asInt() < std::numeric_limits<Int>::min() ||
                    item.asInt() > std::numeric_limits<Int>::max())
                    return fail(key, "a list of whole numbers");
                field.push_back(static_cast<Int>(item.asInt()));
            }
        }
    }
    const std::string& problem() const { return m_problem; }

private:
    const Value* member(std::string_view key, bool (Value::*isType)() const, std::string_view expected) {
        const Value& v = m_map[key];
        if (v.isNull())
            return nullptr;
        if (!(v.*isType)()) {
            fail(key, expected);
            return nullptr;
        }
        return &v;
    }
    void fail(std::string_view key, std::string_view expected) {
        if (m_problem.empty())
            m_problem = "The setting \"" + std::string(key) + "\" is not " + std::string(expected) +
                        "; the stored settings are damaged or not from this program.";
    }

    const Value& m_map;
    std::string m_problem;
};

} // namespace canopy
