#pragma once

#include <QWidget>

#include "ui/attention/attention_selection.h"
#include "ui/theme/dresser.h"

class QPainter;

namespace canopy::ui {

/// A view of the selected run: shares the cell, the keyboard ring and the words under the pointer. The words
/// of the cell are also its accessible description.
class AttentionView : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    AttentionView(AttentionSelection* selection, const QString& name, const char* objectName,
                  QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void hovered(const QString& words); ///< empty: nothing is under the pointer

protected:
    /// Where a cell of a map lies, and the map mark of its state.
    void paintHead(QPainter& painter, const QRectF& box, const AttentionCell& cell) const;
    /// 2 px playhead colour in a casing: the same on every map.
    void paintCursor(QPainter& painter, const QRectF& box) const;
    void paintHatch(QPainter& painter, const QRectF& box, const QColor& colour) const;
    /// `text` in the middle, where there is nothing to show.
    void paintHint(QPainter& painter, const QString& text) const;
    void focusRing(QPainter& painter) const;
    virtual void describe(); ///< sets the accessible description

    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void leaveEvent(QEvent* event) override;

    AttentionSelection* m_selection;
    Theme m_theme;
    bool m_hasTheme = false;

private:
    bool m_keyboardFocus = false;
};

} // namespace canopy::ui
