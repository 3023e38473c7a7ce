#pragma once

#include <QStyledItemDelegate>
#include <QWidget>

#include "ui/models/job_list_model.h"
#include "ui/theme/dresser.h"

class QLabel;
class QListView;
class QPushButton;

namespace canopy::ui {

/// Draws a job row: thumbnail, name, state in words, time; a failed one its fix as a link.
class JobDelegate : public QStyledItemDelegate {
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void setTheme(const Theme& theme) { m_theme = theme; }
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override;
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
    /// Where "Retry" stands in a row of this rectangle.
    QRect linkRect(const QRect& row) const;

Q_SIGNALS:
    void linkClicked(const QModelIndex& index);

protected:
    bool editorEvent(QEvent* event, QAbstractItemModel* model, const QStyleOptionViewItem& option,
                     const QModelIndex& index) override;

private:
    Theme m_theme;
};

/// The job list with its header and buttons.
class QueuePanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit QueuePanel(QWidget* parent = nullptr);

    JobListModel& model() { return *m_model; }
    void setJobs(const StudioSnapshot& snapshot);
    JobId selected() const; ///< 0 = none
    void select(JobId id);
    QWidget* focusTarget() const;
    void setTheme(const Theme& theme) override;
    /// What "Copy details" puts on the clipboard: the sentence, the settings, the attempt.
    static QString details(const JobRow& row);

Q_SIGNALS:
    void jobChosen(canopy::JobId id); ///< clicked or moved to by keys
    void cancelRequested(canopy::JobId id);
    void retryRequested(canopy::JobId id);
    void pauseJobRequested(canopy::JobId id);
    void resumeJobRequested(canopy::JobId id);
    void duplicateRequested(canopy::JobId id);
    void removeRequested(canopy::JobId id);
    void reloadRequested(canopy::JobId id); ///< settings into the form
    void moveUpRequested(canopy::JobId id, canopy::JobId before);
    void clearRequested();
    void pauseRequested(bool paused);

private:
    void showMenu(const QPoint& at);
    void fitList();

    Theme m_theme;
    JobListModel* m_model;
    JobDelegate* m_delegate;
    QListView* m_list;
    QLabel* m_empty;
    QLabel* m_done;
    QLabel* m_pausedNote;
    QPushButton* m_pause;
    QPushButton* m_clear;
    bool m_paused = false;
    bool m_selecting = false;
};

} // namespace canopy::ui
