#pragma once

#include <QWidget>

#include "ui/panels/ask_groups.h"
#include "ui/theme/dresser.h"

class QLabel;

namespace canopy::ui {

class AnswerCard;
class CompareView;
class FlowLayout;
class SanityTable;

/// One question with all its runs: the chosen answer in full or two side by side, the other runs as small
/// buttons, and the controls.
class QuestionGroup : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit QuestionGroup(QWidget* parent = nullptr);

    /// `shown`: the run whose tokens are on the picture.
    void setGroup(const AskGroup& group, JobId shown);
    const AskGroup& group() const { return m_group; }
    JobId chosen() const { return m_chosen; }
    bool comparing() const { return m_compareA != 0; }
    /// Side by side; 0, 0 = one answer.
    void compare(JobId a, JobId b);
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void seekRequested(double seconds);
    void askRequested(const canopy::AskRequest& request);
    void showTokensRequested(canopy::JobId id);
    void differenceRequested(canopy::JobId a, canopy::JobId b);
    void cancelRequested(canopy::JobId id);
    void retryRequested(canopy::JobId id);
    void removeRequested(canopy::JobId id);

private:
    void show();
    void showRuns();
    void compareWith(JobId id, TokenMode mode);
    const AskView* counterpart(const AskView& ask, TokenMode mode) const;

    Theme m_theme;
    bool m_hasTheme = false;
    AskGroup m_group;
    JobId m_shown = 0;
    JobId m_chosen = 0;
    JobId m_newest = 0;
    JobId m_compareA = 0;
    JobId m_compareB = 0;
    JobId m_awaited = 0; ///< compare it with a run of m_awaitedMode as soon as that is answered
    TokenMode m_awaitedMode = TokenMode::All;
    QLabel* m_question;
    QLabel* m_options;
    QWidget* m_runs;
    FlowLayout* m_runsLayout;
    QString m_runsKey;
    AnswerCard* m_card;
    CompareView* m_compare;
    SanityTable* m_sanity;
};

} // namespace canopy::ui
