#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace canopy {

inline Error outOfConfigRange(std::string_view what, const std::string& value, const std::string& expected) {
    return makeError(ErrorCode::Malformed,
                     "Value out of range in the model's configuration: " + std::string(what) + " = " + value +
                         "; expected " + expected + ". Get the model from its publisher again");
}

/// Collects the first violation of a table of bounds.
class ConfigBounds {
public:
    ConfigBounds& integer(std::string_view what, std::int64_t value, std::int64_t low, std::int64_t high) {
        if (m_ok.ok() && (value < low || value > high))
            m_ok = outOfConfigRange(what, std::to_string(value),
                                    std::to_string(low) + " to " + std::to_string(high));
        return *this;
    }
    ConfigBounds& even(std::string_view what, std::int64_t value) {
        if (m_ok.ok() && value % 2 != 0)
            m_ok = outOfConfigRange(what, std::to_string(value), "an even number");
        return *this;
    }
    /// NaN fails as well.
    ConfigBounds& real(std::string_view what, double value, double low, double high) {
        if (m_ok.ok() && !(value >= low && value <= high))
            m_ok = outOfConfigRange(what, std::to_string(value),
                                    std::to_string(low) + " to " + std::to_string(high));
        return *this;
    }
    ConfigBounds& text(std::string_view what, const std::string& value, std::size_t maxBytes) {
        if (m_ok.ok() && value.size() > maxBytes)
            m_ok = outOfConfigRange(what, "a text of " + std::to_string(value.size()) + " bytes",
                                    "at most " + std::to_string(maxBytes));
        return *this;
    }
    /// Each factor was bounded before, so the product of a few of them cannot overflow a double.
    ConfigBounds& parameters(double count) {
        constexpr double kMost = 1.4e11; // 2^37: nothing larger fits any machine this program serves
        if (m_ok.ok() && count > kMost)
            m_ok =
                makeError(ErrorCode::Malformed, "The model's configuration asks for " +
                                                    std::to_string(static_cast<std::uint64_t>(count / 1e9)) +
                                                    " billion parameters; at most 140 are read");
        return *this;
    }
    Result<void> result() const { return m_ok; }

private:
    Result<void> m_ok;
};

} // namespace canopy
