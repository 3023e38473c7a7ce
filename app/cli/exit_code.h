#pragma once

#include "core/base/result.h"

namespace canopy::cli {

/// What the process ends with; documented in resources/help/command-line.md.
enum ExitCode : int {
    kOk = 0,
    kFailed = 1,         ///< the engine could not finish the job
    kUsage = 2,          ///< the command line itself is wrong
    kCannotStart = 3,    ///< settings, model or first image do not allow a start
    kFileProblem = 4,    ///< a file cannot be read, written, or is not what it should be
    kOutOfMemory = 5,    ///< refused by the memory plan, or ran out
    kEngineLost = 6,     ///< the engine cannot be started, or ended while the job ran
    kNotInThisBuild = 7, ///< needs a part that this build leaves out
    kInterrupted = 130,  ///< Ctrl+C, or cancelled elsewhere
};

inline ExitCode exitCodeFor(ErrorCode code) {
    switch (code) {
    case ErrorCode::InvalidArgument:
        return kCannotStart;
    case ErrorCode::NotFound:
    case ErrorCode::Malformed:
    case ErrorCode::Mismatch:
    case ErrorCode::Io:
        return kFileProblem;
    case ErrorCode::Unsupported:
        return kNotInThisBuild;
    case ErrorCode::OutOfMemory:
        return kOutOfMemory;
    case ErrorCode::Cancelled:
        return kInterrupted;
    case ErrorCode::WorkerLost:
        return kEngineLost;
    case ErrorCode::NumericOverflow:
    case ErrorCode::Internal:
        return kFailed;
    }
    return kFailed;
}

} // namespace canopy::cli
