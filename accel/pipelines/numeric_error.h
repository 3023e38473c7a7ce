#pragma once

#include <stdexcept>
#include <string>

namespace canopy::accel {

/// NaN or infinity where finite numbers are needed. Becomes ErrorCode::NumericOverflow at the job boundary.
struct NumericError : std::runtime_error {
    NumericError(const std::string& what, int rowIndex)
        : std::runtime_error(what)
        , row(rowIndex) {}
    int row; ///< of the sampling loop; -1 outside it
};

} // namespace canopy::accel
