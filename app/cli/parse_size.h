#pragma once

#include <string>

namespace canopy::cli {

/// "832x480" into width and height, both above 0; false otherwise.
bool parseSize(const std::string& text, int& width, int& height);

} // namespace canopy::cli
