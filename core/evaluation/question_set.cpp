#include "core/evaluation/question_set.h"

#include <algorithm>
#include <cctype>

#include "core/base/files.h"
#include "core/base/value_codec.h"

namespace canopy::evaluation {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxRows = 1'000'000;

std::string normal(std::string_view text) {
    const auto skip = [](char c) { return std::isspace(static_cast<unsigned char>(c)) || c == '.'; };
    while (!text.empty() && skip(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && skip(text.back()))
        text.remove_suffix(1);
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

} // namespace

Result<std::vector<QuestionRow>> readQuestionSet(const std::filesystem::path& file) {
    const auto text = readTextFile(file, kMaxBytes);
    if (!text)
        return text.error();
    const auto value = parseJson(*text, {.maxBytes = kMaxBytes, .maxValues = std::size_t{1} << 24});
    if (!value)
        return makeError(ErrorCode::Malformed, "The questions cannot be read: " + value.error().message +
                                                   " File: " + file.string());
    if (!value->isArray() || value->asArray().empty())
        return makeError(ErrorCode::Malformed,
                         "The file holds no list of questions ([{\"video\": ..., \"question\": ..., "
                         "\"answer\": ...}, ...]): " +
                             file.string());
    if (value->asArray().size() > kMaxRows)
        return makeError(ErrorCode::Malformed,
                         "The file holds more than a million questions: " + file.string());
    std::vector<QuestionRow> rows;
    for (const Value& item : value->asArray()) {
        const auto wrong = [&](const std::string& what) {
            return makeError(ErrorCode::Malformed, "Question " + std::to_string(rows.size() + 1) + " of " +
                                                       file.filename().string() + " " + what);
        };
        QuestionRow row;
        if (!item["video"].isString() || !item["question"].isString() || !item["answer"].isString())
            return wrong("needs the texts \"video\", \"question\" and \"answer\".");
        row.video = std::filesystem::absolute(file).parent_path() / item["video"].asString();
        row.question = item["question"].asString();
        row.answer = item["answer"].asString();
        row.kind = item["kind"].asString();
        for (const Value& option : item["options"].asArray())
            row.options.push_back(option.asString());
        if (row.question.empty())
            return wrong("is empty.");
        if (row.options.size() == 1 || row.options.size() > 26)
            return wrong("has " + std::to_string(row.options.size()) + " options; use none or 2 to 26.");
        if (!row.options.empty() &&
            std::find(row.options.begin(), row.options.end(), row.answer) == row.options.end())
            return wrong("does not have its answer \"" + row.answer + "\" among its options.");
        rows.push_back(std::move(row));
    }
    return rows;
}

bool isRight(const QuestionRow& row, std::string_view given) {
    if (row.options.empty())
        return normal(given) == normal(row.answer);
    const auto right = std::find(row.options.begin(), row.options.end(), row.answer) - row.options.begin();
    const std::string letter = normal(given);
    return !letter.empty() && letter.front() == static_cast<char>('a' + right) &&
           (letter.size() == 1 || !std::isalpha(static_cast<unsigned char>(letter[1])));
}

} // namespace canopy::evaluation
