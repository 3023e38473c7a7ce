#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// The sentence for a key of a configuration file that has another type or no value.
Error wrongConfigValue(std::string_view key, std::string_view expected);

/// Reads members of one map and keeps the first problem. A key that is missing or null keeps the field's
/// default, unless it is required.
class ConfigReader {
public:
    explicit ConfigReader(const Value& map)
        : m_map(map) {}

    const std::optional<Error>& problem() const { return m_problem; }

    void integer(std::string_view key, int& out, bool required = false) {
        const Value* v = get(key, required);
        if (!v)
            return;
        if (!v->isInt())
            return note(wrongConfigValue(key, "a whole number"));
        // Values that an int cannot hold are out of every range and named by the check that follows.
        out = static_cast<int>(std::clamp<std::int64_t>(v->asInt(), std::numeric_limits<int>::min(),
                                                        std::numeric_limits<int>::max()));
    }
    void real(std::string_view key, double& out, bool required = false) {
        const Value* v = get(key, required);
        if (v && !v->isNumber())
            return note(wrongConfigValue(key, "a number"));
        if (v)
            out = v->asDouble();
    }
    void boolean(std::string_view key, bool& out, bool required = false) {
        const Value* v = get(key, required);
        if (v && !v->isBool())
            return note(wrongConfigValue(key, "true or false"));
        if (v)
            out = v->asBool();
    }
    void text(std::string_view key, std::string& out, bool required = false) {
        const Value* v = get(key, required);
        if (v && !v->isString())
            return note(wrongConfigValue(key, "a text"));
        if (v)
            out = v->asString();
    }
    template <typename T, typename Read>
    void list(std::string_view key, std::vector<T>& out, std::size_t most, Read read, bool required = false) {
        const Value* v = get(key, required);
        if (!v)
            return;
        if (!v->isArray() || v->asArray().size() > most)
            return note(wrongConfigValue(key, "a list of at most " + std::to_string(most)));
        out.clear();
        for (const auto& element : v->asArray()) {
            T one{};
            if (!read(element, one))
                return note(wrongConfigValue(key, "a list of values of one type"));
            out.push_back(std::move(one));
        }
    }
    void note(Error error) {
        if (!m_problem)
            m_problem = std::move(error);
    }

private:
    const Value* get(std::string_view key, bool required) {
        const Value& v = m_map[key];
        if (!v.isNull())
            return &v;
        if (required)
            note(wrongConfigValue(key, "a value, and there is none"));
        return nullptr;
    }
    const Value& m_map;
    std::optional<Error> m_problem;
};

/// For ConfigReader::list. Numbers that an int cannot hold are clamped and fall to the check that follows.
bool readConfigInt(const Value& v, int& out);
bool readConfigReal(const Value& v, double& out);

} // namespace canopy
