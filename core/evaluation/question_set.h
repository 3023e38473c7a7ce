#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy::evaluation {

/// One question with its right answer.
struct QuestionRow {
    std::filesystem::path video; ///< absolute
    std::string question;
    std::vector<std::string> options; ///< not empty: multiple choice; holds `answer`
    std::string answer;
    std::string kind; ///< for the table by kind; may be empty
};

/// A JSON list of {video, question, options?, answer, kind?}; video paths are relative to the file. The error
/// names the row and what is wrong with it.
Result<std::vector<QuestionRow>> readQuestionSet(const std::filesystem::path& file);

/// Whether the answer that a model gave is the right one. With options: its first letter names the right
/// option. Without: equal text, but for case, surrounding space and a full stop.
bool isRight(const QuestionRow& row, std::string_view given);

} // namespace canopy::evaluation
