#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace canopy::test {

/// One `#include` line of a source file.
struct Include {
    std::string target; ///< between the quotes or brackets
    bool quoted = false;
};

/// All includes of a source text, in order. Comments that merely mention one are not looked into: an include
/// stands alone on its line.
std::vector<Include> includesOf(std::string_view text);

/// Why the file at `path` (relative to the checkout, "core/base/log.h") may not include what it includes; one
/// sentence per breach of ARCHITECTURE.md.
/// `isPublicHeader`: other targets include it, so what it includes reaches them.
std::vector<std::string> includeBreaches(std::string_view path, std::string_view text, bool isPublicHeader);

} // namespace canopy::test
