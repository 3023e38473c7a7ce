#pragma once

#include <vector>

#include <QWidget>

#include "ui/panels/ask_form.h"
#include "ui/panels/ask_groups.h"
#include "ui/theme/dresser.h"

class QLabel;
class QMenu;
class QScrollArea;
class QToolButton;
class QVBoxLayout;

namespace canopy::ui {

class ElidedLabel;
class QuestionGroup;

/// The chat: questions about one video with their answers, oldest first, and the form below. Told its asks;
/// tells what was asked for.
class AskPanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit AskPanel(QWidget* parent = nullptr);

    AskForm& form() { return *m_form; }
    void setVideo(const QString& file);
    /// Those of the attached video are shown.
    void setAsks(const std::vector<AskView>& asks);
    void setShown(JobId id); ///< whose tokens are on the picture; 0 = none
    const std::vector<AskGroup>& groups() const { return m_groups; }
    QuestionGroup* groupOf(JobId id) const;
    QMenu* exportMenu() const { return m_exportMenu; }
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void seekRequested(double seconds);
    void askRequested(const canopy::AskRequest& request); ///< from an answer's card
    void showTokensRequested(canopy::JobId id);
    void differenceRequested(canopy::JobId a, canopy::JobId b);
    void cancelRequested(canopy::JobId id);
    void retryRequested(canopy::JobId id);
    void removeRequested(canopy::JobId id);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void rebuild();
    void showHeading();
    bool atEnd() const;

    Theme m_theme;
    bool m_hasTheme = false;
    std::vector<AskView> m_asks;
    std::vector<AskGroup> m_groups;
    JobId m_shown = 0;
    JobId m_shownBefore = 0; ///< as the groups know it
    ElidedLabel* m_heading;
    QToolButton* m_export;
    QMenu* m_exportMenu;
    QScrollArea* m_scroll;
    QVBoxLayout* m_list;
    QLabel* m_empty;
    std::vector<QuestionGroup*> m_widgets;
    AskForm* m_form;
    bool m_stickToEnd = true; ///< new words keep the end in sight, unless the person scrolled up
};

} // namespace canopy::ui
