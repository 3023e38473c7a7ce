#pragma once

#include <stdexcept>
#include <utility>

#include "core/base/result.h"

namespace canopy::accel {

/// Carries an Error of a core reader through accel, where failures fly as exceptions. Caught at the job
/// boundary.
struct JobError : std::runtime_error {
    explicit JobError(Error e)
        : std::runtime_error(e.message)
        , error(std::move(e)) {}
    JobError(ErrorCode code, std::string message)
        : JobError(makeError(code, std::move(message))) {}
    Error error;
};

/// The value, or a JobError.
template <typename T>
T orThrow(Result<T> result) {
    if (!result)
        throw JobError(result.error());
    if constexpr (!std::is_void_v<T>)
        return std::move(result).value();
}

} // namespace canopy::accel
