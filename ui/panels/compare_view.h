#pragma once

#include <QWidget>

#include "ui/panels/ask_groups.h"

class QLabel;
class QPushButton;

namespace canopy::ui {

class LetterBars;

/// Two runs of one question side by side: answers, letter bars, tokens, times, whether they agree and what a
/// control at the same share says. A warning has the rank of the answers.
class CompareView : public QWidget {
    Q_OBJECT
public:
    explicit CompareView(QWidget* parent = nullptr);
    void setPair(const AskView& a, const AskView& b, const AskGroup& group);
    JobId left() const { return m_sides[0].id; }
    JobId right() const { return m_sides[1].id; }

Q_SIGNALS:
    void closed();
    /// Cells that only one of them kept, on the picture.
    void differenceRequested(canopy::JobId a, canopy::JobId b);

private:
    struct Side {
        JobId id = 0;
        QLabel* answer = nullptr;
        QLabel* settings = nullptr;
        LetterBars* letters = nullptr;
        QLabel* figures = nullptr;
    };
    void fill(Side& side, const AskView& ask);

    Side m_sides[2];
    QLabel* m_warningIcon;
    QLabel* m_verdict;
    QPushButton* m_difference;
};

} // namespace canopy::ui
