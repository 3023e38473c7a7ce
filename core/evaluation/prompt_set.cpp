#include "core/evaluation/prompt_set.h"

#include <sstream>

#include "core/base/files.h"

namespace canopy::evaluation {

Result<std::vector<std::string>> readPromptSet(const std::filesystem::path& file) {
    constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 20;
    const auto text = readTextFile(file, kMaxBytes);
    if (!text)
        return text.error();
    std::vector<std::string> prompts;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
            line.pop_back();
        if (!line.empty() && line.front() != '#')
            prompts.push_back(line);
    }
    if (prompts.empty())
        return makeError(ErrorCode::Malformed,
                         "The file holds no prompts; write one a line. File: " + file.string());
    return prompts;
}

} // namespace canopy::evaluation
