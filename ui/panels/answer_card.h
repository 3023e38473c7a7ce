#pragma once

#include <QFrame>

#include "ui/panels/ask_groups.h"
#include "ui/theme/dresser.h"

class QGridLayout;
class QHBoxLayout;
class QLabel;
class QPushButton;
class QToolButton;

namespace canopy::ui {

class LetterBars;
class ShareBar;

/// One run of a question in full: answer, times that seek, tokens, figures beside the unpruned ones where
/// those were measured, and what to do next. Texts change in place while words stream in.
class AnswerCard : public QFrame, public dresser::Dressed {
    Q_OBJECT
public:
    explicit AnswerCard(QWidget* parent = nullptr);

    /// `group` gives what it is compared with. `shown`: its tokens are on the picture.
    void setAsk(const AskView& ask, const AskGroup& group, bool shown);
    JobId id() const { return m_id; }
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void seekRequested(double seconds);
    void askRequested(const canopy::AskRequest& request); ///< the same question at another share
    /// With the unpruned run (mode All) or another mode at the same number of tokens; asked where it was not
    /// run yet.
    void compareRequested(canopy::JobId id, canopy::TokenMode mode);
    void showTokensRequested(canopy::JobId id);
    void cancelRequested(canopy::JobId id);
    void retryRequested(canopy::JobId id);
    void removeRequested(canopy::JobId id);

private:
    void build();
    void showAnswer(const AskView& ask, const AskView* unpruned);
    void showFigures(const AskView& ask, const AskView* unpruned);
    void showTimes(const AskView& ask);
    void showButtons(const AskView& ask, const AskView* unpruned);
    void addFigure(int row, const QString& name, const char* objectName);

    JobId m_id = 0;
    AskRequest m_again; ///< the request at the share that "Ask again" offers
    QLabel* m_text;
    QLabel* m_times;
    QLabel* m_mark;
    QLabel* m_markIcon;
    QLabel* m_state;
    QLabel* m_frames;
    QLabel* m_settings;
    ShareBar* m_bar;
    QLabel* m_kept;
    QLabel* m_candidates;
    QLabel* m_all;
    QWidget* m_table;
    QGridLayout* m_grid;
    QLabel* m_head;
    QLabel* m_headUnpruned;
    std::vector<std::pair<QLabel*, QLabel*>> m_figures; ///< first word, prefill, KV
    LetterBars* m_letters;
    QLabel* m_notes;
    QLabel* m_error;
    QPushButton* m_askAgain;
    QPushButton* m_compare;
    QToolButton* m_compareWith;
    QPushButton* m_showTokens;
    QPushButton* m_cancel;
    QPushButton* m_retry;
    QToolButton* m_remove;
};

} // namespace canopy::ui
