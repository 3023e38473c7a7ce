#pragma once

#include "tests/ui/window_driver.h"
#include "ui/panels/ask_panel.h"
#include "ui/panels/question_group.h"

namespace canopy::test {

/// Types a question into the Ask workspace and sends it, as a person would. An empty one repeats the last.
inline void ask(WindowDriver& d, const QString& question, int patienceMillis) {
    auto* field = d.find<QPlainTextEdit>("questionField");
    field->setFocus();
    QTest::keyClicks(field, question);
    QTRY_VERIFY_WITH_TIMEOUT(d.find<QPushButton>("askButton")->isEnabled(), patienceMillis);
    QTest::keyClick(field, Qt::Key_Return, Qt::ControlModifier);
}

/// The last question has at least `runs` runs, each with its answer.
inline bool answered(WindowDriver& d, std::size_t runs) {
    const auto& groups = d.window().askPanel().groups();
    if (groups.empty() || groups.back().asks.size() < runs)
        return false;
    for (const auto& ask : groups.back().asks)
        if (!ask.answer)
            return false;
    return true;
}

} // namespace canopy::test
