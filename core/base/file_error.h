#pragma once

#include <filesystem>

#include "core/base/result.h"

namespace canopy {

/// The same error with the file it was met in at the end of its message, unless the message names it already.
inline Error inFile(const std::filesystem::path& file, Error error) {
    if (error.message.find(file.string()) == std::string::npos)
        error.message += ": " + file.string();
    return error;
}

} // namespace canopy
