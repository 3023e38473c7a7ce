#pragma once

// Private to core/evaluation.

#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/evaluation/evaluation_run.h"
#include "core/evaluation/line_journal.h"

namespace canopy::evaluation {

/// Answers on disk, by arm and question.
class Journal {
public:
    /// Opens or creates; what is there already must belong to the same questions, arms and settings.
    static Result<Journal> open(const EvaluationOptions& options);

    const std::optional<ArmAnswer>& at(std::size_t arm, std::size_t row) const {
        return m_answers[arm * m_rows + row];
    }
    std::size_t answered() const { return m_answered; }
    Result<void> add(std::size_t arm, std::size_t row, ArmAnswer answer);

private:
    Journal(LineJournal file, std::size_t arms, std::size_t rows)
        : m_file(std::move(file))
        , m_rows(rows)
        , m_answers(arms * rows) {}
    void take(std::size_t arm, std::size_t row, ArmAnswer answer);

    LineJournal m_file;
    std::size_t m_rows;
    std::size_t m_answered = 0;
    std::vector<std::optional<ArmAnswer>> m_answers;
};

} // namespace canopy::evaluation
