#include "ui/panels/share_bar.h"

#include <QPainter>

#include "ui/tokens/kept_view.h"

namespace canopy::ui {

ShareBar::ShareBar(QWidget* parent)
    : QWidget(parent) {
    dresser::setFixedHeight(this, 10);
}

void ShareBar::setShares(double kept, double candidates) {
    m_kept = kept;
    m_candidates = candidates;
    update();
}

void ShareBar::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    update();
}

void ShareBar::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    paintShareBar(painter, rect(), m_kept, m_candidates, m_theme);
}

} // namespace canopy::ui
