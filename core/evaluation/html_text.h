#pragma once

// Private to core/evaluation: text of reports.

#include <string>

namespace canopy::evaluation {

/// printf into a string of at most 511 bytes.
__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...);
/// With & < > " as entities.
std::string escaped(const std::string& text);

} // namespace canopy::evaluation
