#include "core/evaluation/journal.h"

#include <string>
#include <utility>

namespace canopy::evaluation {
namespace {

/// What the answers depend on.
Value headOf(const EvaluationOptions& options) {
    AskRequest base = options.base;
    base.threads = 0; // may differ between the slices of a run
    Value arms{Value::Array{}};
    for (const Arm& arm : options.arms)
        arms.push(toValue(arm.tokens));
    std::vector<std::string> questions;
    for (const QuestionRow& row : options.rows) {
        questions.insert(questions.end(), {row.video.filename().string(), row.question, row.answer});
        questions.insert(questions.end(), row.options.begin(), row.options.end());
    }
    Value head;
    head.set("version", 1).set("settings", toValue(base)).set("arms", std::move(arms));
    head.set("questions", static_cast<std::int64_t>(options.rows.size()));
    head.set("questions_hash", hashOf(questions));
    return head;
}

} // namespace

Result<Journal> Journal::open(const EvaluationOptions& options) {
    auto file = LineJournal::open(options.journal, headOf(options),
                                  "Answers of other questions or settings lie in the way; move the file away "
                                  "or choose another --out");
    if (!file)
        return file.error();
    Journal journal(std::move(*file), options.arms.size(), options.rows.size());
    for (const Value& line : journal.m_file.lines()) {
        const auto arm = static_cast<std::size_t>(line["arm"].asInt(-1));
        const auto row = static_cast<std::size_t>(line["row"].asInt(-1));
        if (arm < options.arms.size() && row < options.rows.size())
            journal.take(arm, row, armAnswerFromValue(line["answer"]));
    }
    return journal;
}

void Journal::take(std::size_t arm, std::size_t row, ArmAnswer answer) {
    auto& place = m_answers[arm * m_rows + row];
    m_answered += place ? 0 : 1;
    place = std::move(answer);
}

Result<void> Journal::add(std::size_t arm, std::size_t row, ArmAnswer answer) {
    Value line;
    line.set("arm", static_cast<std::int64_t>(arm)).set("row", static_cast<std::int64_t>(row));
    line.set("answer", toValue(answer));
    if (auto added = m_file.add(line); !added)
        return added;
    take(arm, row, std::move(answer));
    return {};
}

} // namespace canopy::evaluation
