#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// What borders, marks and veils of the overlay mean. Leaves words out from the right where room is short.
class TokenLegend : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit TokenLegend(QWidget* parent = nullptr);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void drawMark(class QPainter& painter, int item, const QRectF& box) const;
    Theme m_theme;
    bool m_hasTheme = false;
};

} // namespace canopy::ui
