#pragma once

#include <QStyledItemDelegate>
#include <QWidget>

#include "ui/models/clip_list_model.h"
#include "ui/theme/dresser.h"

class QLabel;
class QLineEdit;
class QListView;
class QTimer;
class QToolButton;

namespace canopy::ui {

/// Thumbnail, below it the title and the length.
class ClipDelegate : public QStyledItemDelegate {
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void setTheme(const Theme& theme) { m_theme = theme; }
    void setCell(const QSize& cell) { m_cell = cell; }
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override;
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

private:
    Theme m_theme;
    QSize m_cell = {128, 96};
};

/// Finished clips with search and stars. Told its clips; asks for another search.
class LibraryPanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit LibraryPanel(QWidget* parent = nullptr);

    ClipListModel& model() { return *m_model; }
    void setClips(const std::vector<Clip>& clips);
    void selectFile(const QString& file);
    QWidget* focusTarget() const;
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void searchChanged(const QString& text, bool starredOnly);
    void clipChosen(const QString& file);
    void askRequested(const QString& file);     ///< questions about the clip
    void compareRequested(const QString& file); ///< with its dense twin
    void reloadRequested(const QString& file);
    void starRequested(std::int64_t clip, bool starred);
    void forgetRequested(std::int64_t clip);
    void folderRequested(const QString& file); ///< show in the file manager

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void fitCells();
    void showMenu(const QPoint& at);

    Theme m_theme;
    ClipListModel* m_model;
    ClipDelegate* m_delegate;
    QListView* m_list;
    QLineEdit* m_search;
    QToolButton* m_starred;
    QToolButton* m_ask;
    QLabel* m_count;
    QLabel* m_empty;
    QTimer* m_searchTimer;
};

} // namespace canopy::ui
