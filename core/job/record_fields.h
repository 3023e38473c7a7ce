#pragma once

// Private to core/job: records of models as maps. A record's fields are listed once, in a function template
// that serves writing and reading.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

class FieldWriter {
public:
    explicit FieldWriter(Value& out)
        : m_out(out) {}
    template <typename T>
    void operator()(std::string_view key, const T& field) {
        m_out.set(key, make(field));
    }
    /// An enum by the names of `all`.
    template <typename Enum, std::size_t N>
    void named(std::string_view key, const Enum& field, const std::array<Enum, N>&,
               std::string_view (*name)(Enum)) {
        m_out.set(key, name(field));
    }
    template <typename Visit>
    void group(std::string_view key, Visit visit) {
        Value inner{Value::Map{}};
        FieldWriter writer(inner);
        visit(writer);
        m_out.set(key, std::move(inner));
    }
    /// Nothing is written where there is none.
    template <typename T>
    void optional(std::string_view key, const std::optional<T>& field) {
        if (field)
            (*this)(key, *field);
    }
    /// A list of maps; `visit(writer, item)` for each.
    template <typename T, typename Visit>
    void list(std::string_view key, const std::vector<T>& items, Visit visit) {
        Value::Array all;
        for (const T& item : items) {
            FieldWriter writer(all.emplace_back(Value::Map{}));
            visit(writer, item);
        }
        m_out.set(key, std::move(all));
    }

private:
    static Value make(const std::filesystem::path& path) { return Value(path.string()); }
    template <typename T>
    static Value make(const T& field) {
        if constexpr (std::is_constructible_v<Value, const T&>) {
            return Value(field);
        } else {
            Value::Array list;
            for (const auto& item : field) {
                list.push_back(make(item));
            }
            return Value(std::move(list));
        }
    }
    Value& m_out;
};

/// Missing members keep their default; the first of a wrong type is remembered.
class FieldReader {
public:
    explicit FieldReader(const Value& in)
        : m_in(in) {}
    template <typename T>
    void operator()(std::string_view key, T& field) {
        const Value& v = m_in[key];
        if (!v.isNull() && !take(v, field) && m_problem.empty()) {
            m_problem = key;
        }
    }
    template <typename Enum, std::size_t N>
    void named(std::string_view key, Enum& field, const std::array<Enum, N>& all,
               std::string_view (*name)(Enum)) {
        const Value& v = m_in[key];
        bool known = v.isNull();
        for (const Enum one : all) {
            if (v.isString() && v.asString() == name(one)) {
                field = one;
                known = true;
            }
        }
        if (!known && m_problem.empty()) {
            m_problem = key;
        }
    }
    template <typename Visit>
    void group(std::string_view key, Visit visit) {
        FieldReader reader(m_in[key]);
        visit(reader);
        if (!reader.m_problem.empty() && m_problem.empty()) {
            m_problem = std::string(key) + "." + reader.m_problem;
        }
    }
    template <typename T>
    void optional(std::string_view key, std::optional<T>& field) {
        if (m_in.contains(key))
            (*this)(key, field.emplace());
    }
    template <typename T, typename Visit>
    void list(std::string_view key, std::vector<T>& items, Visit visit) {
        const Value& v = m_in[key];
        items.clear();
        if (!v.isNull() && !v.isArray() && m_problem.empty())
            m_problem = key;
        for (const Value& item : v.asArray()) {
            FieldReader reader(item);
            visit(reader, items.emplace_back());
            if (!reader.m_problem.empty() && m_problem.empty())
                m_problem = std::string(key) + "." + reader.m_problem;
        }
    }
    const std::string& problem() const { return m_problem; }

private:
    static bool take(const Value& v, bool& field) { return field = v.asBool(), v.isBool(); }
    static bool take(const Value& v, int& field) {
        if (!v.isInt() || !std::in_range<int>(v.asInt())) {
            return false;
        }
        field = static_cast<int>(v.asInt());
        return true;
    }
    static bool take(const Value& v, std::uint64_t& field) {
        field = static_cast<std::uint64_t>(v.asInt());
        return v.isInt() && v.asInt() >= 0;
    }
    static bool take(const Value& v, double& field) { return field = v.asDouble(), v.isNumber(); }
    static bool take(const Value& v, std::string& field) { return field = v.asString(), v.isString(); }
    static bool take(const Value& v, std::filesystem::path& field) {
        field = v.asString();
        return v.isString();
    }
    static bool take(const Value& v, Value::Bytes& field) {
        field = v.asBytes();
        return v.isBytes();
    }
    template <typename T, std::size_t N>
    static bool take(const Value& v, std::array<T, N>& field) {
        bool ok = v.asArray().size() == N;
        for (std::size_t i = 0; ok && i < N; ++i) {
            ok = take(v.asArray()[i], field[i]);
        }
        return ok;
    }
    template <typename T>
    static bool take(const Value& v, std::vector<T>& field) {
        field.clear();
        for (const Value& item : v.asArray()) {
            T one{};
            if (!take(item, one)) {
                return false;
            }
            field.push_back(std::move(one));
        }
        return v.isArray();
    }

    const Value& m_in;
    std::string m_problem;
};

inline Error wrongField(std::string_view what, std::string_view field) {
    return makeError(ErrorCode::Malformed,
                     "The " + std::string(what) + " cannot be read: its field '" + std::string(field) +
                         "' has another type than expected. Window and engine must be of the "
                         "same version.");
}

} // namespace canopy
