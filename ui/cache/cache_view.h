#pragma once

#include <QWidget>

#include "ui/cache/cache_selection.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

/// A view of the chunk-wise run: repaints with the shared selection, speaks through it, shows a focus ring.
/// Arrow keys move the chosen step: left and right by chunk, up and down by step.
class CacheView : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    CacheView(CacheSelection* selection, const QString& name, const char* objectName,
              QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;

protected:
    const CacheScene& scene() const { return m_selection->scene(); }
    void focusRing(QPainter& painter);
    /// One line in the middle of the view, for a run that has nothing to show here.
    void paintSentence(QPainter& painter, const QRectF& area, const QString& sentence);
    /// What a screen reader says of the chosen step; the map's own words by default.
    virtual QString spoken() const;

    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void leaveEvent(QEvent* event) override;

    CacheSelection* m_selection;
    Theme m_theme;
    bool m_hasTheme = false;

private:
    void describe();
    bool m_keyboardFocus = false;
};

} // namespace canopy::ui
