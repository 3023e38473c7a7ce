#include "ui/tokens/kept_view.h"

#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {

void paintShareBar(QPainter& painter, const QRectF& bar, double kept, double candidates, const Theme& theme) {
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing, false);
    const QRectF candidateBar(bar.left(), bar.top(), bar.width() * candidates, bar.height());
    const QRectF keptBar(bar.left(), bar.top(), bar.width() * kept, bar.height());
    if (theme.isHighContrast()) { // two colours only: outlined, hatched, full
        painter.fillRect(bar, theme.colour(Role::Panel));
        painter.fillRect(candidateBar, QBrush(theme.colour(Role::Text), Qt::BDiagPattern));
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(theme.colour(Role::Line), 1));
        painter.drawRect(bar.adjusted(0, 0, -1, -1));
    } else {
        painter.fillRect(bar, theme.colour(Role::Line));
        painter.fillRect(candidateBar, theme.colour(Role::Outline));
    }
    painter.fillRect(keptBar, theme.colour(Role::Text));
    painter.restore();
}

KeptView::KeptView(TokenLayer* layer, QWidget* parent)
    : RunView(layer, tr("Kept cells of each sampled frame"), "keptView", parent) {}

QSize KeptView::sizeHint() const {
    return {m_theme.px(600), m_theme.px(36)};
}

void KeptView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (!scene().isEmpty()) {
        const SampleAxis along = axis();
        const double gap = along.slot() > m_theme.px(24) ? m_theme.px(3) : 1, top = m_theme.px(4);
        const double all = std::max(1, scene().cellsPerSample());
        painter.setFont(m_theme.monoFont(TextStyle::Caption));
        const int stride = along.stride(painter.fontMetrics().horizontalAdvance(tr("%1 kept").arg(888)));
        for (int i = 0; i < along.samples; ++i) {
            const QRectF bar(along.start(i) + gap, top, std::max(1.0, along.slot() - 2 * gap), m_theme.px(8));
            paintShareBar(painter, bar, scene().keptIn(i) / all, scene().candidatesIn(i) / all, m_theme);
            if (i % stride != 0)
                continue;
            painter.setPen(m_theme.colour(i == m_layer->sample() ? Role::Text : Role::Text2));
            painter.drawText(QRectF(along.start(i) + gap, top + m_theme.px(10), along.slot() * stride,
                                    painter.fontMetrics().height()),
                             Qt::AlignLeft, tr("%1 kept").arg(scene().keptIn(i)));
        }
    }
    focusRing(painter);
}

void KeptView::mousePressEvent(QMouseEvent* event) {
    seekTo(axis().at(event->position().x()));
}

void KeptView::mouseMoveEvent(QMouseEvent* event) {
    const int sample = axis().at(event->position().x());
    if (sample >= 0)
        Q_EMIT hovered(
            tr("sampled frame %1: %2").arg(QString::number(sample + 1), scene().sampleWords(sample)));
}

} // namespace canopy::ui
