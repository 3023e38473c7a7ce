#include "ui/tokens/frame_strip.h"

#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kThumbMinimum = 56; ///< pixels at scale 1; narrower pictures show nothing

} // namespace

FrameStrip::FrameStrip(TokenLayer* layer, QWidget* parent)
    : RunView(layer, tr("Sampled frames"), "frameStrip", parent) {}

void FrameStrip::setPictures(std::map<int, QImage> pictures) {
    m_pictures = std::move(pictures);
    update();
}

QSize FrameStrip::sizeHint() const {
    return {m_theme.px(600), m_theme.px(62)};
}

void FrameStrip::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (scene().isEmpty()) {
        painter.setFont(m_theme.font(TextStyle::Label));
        painter.setPen(m_theme.colour(Role::Text3));
        painter.drawText(rect(), Qt::AlignLeft | Qt::AlignVCenter,
                         tr("The frames that the model was shown stand here after a question."));
        return focusRing(painter);
    }
    painter.setRenderHint(QPainter::SmoothPixmapTransform);
    const SampleAxis along = axis();
    const int stride = along.stride(m_theme.px(kThumbMinimum));
    const double gap = m_theme.px(3);
    for (int first = 0; first < along.samples; first += stride) {
        const int last = std::min(along.samples, first + stride);
        const bool current = m_layer->sample() >= first && m_layer->sample() < last;
        const int sample = current ? m_layer->sample() : first;
        const QRectF slot(along.start(first) + gap, gap, along.slot() * (last - first) - 2 * gap,
                          height() - 2 * gap);
        painter.fillRect(slot, m_theme.colour(Role::Surround));
        const auto found = m_pictures.find(sample);
        QSizeF size = found != m_pictures.end() ? QSizeF(found->second.size()) : QSizeF(16, 9);
        size.scale(slot.size(), Qt::KeepAspectRatio);
        const QRectF picture(QPointF(std::round(slot.center().x() - size.width() / 2),
                                     std::round(slot.center().y() - size.height() / 2)),
                             size);
        if (found != m_pictures.end())
            painter.drawImage(picture, found->second);
        TokenPaint what;
        what.sample = sample;
        what.small = true;
        paintTokens(painter, picture, scene(), what, m_theme);
        if (current) {
            painter.setRenderHint(QPainter::Antialiasing, false);
            painter.setBrush(Qt::NoBrush);
            painter.setPen(QPen(m_theme.colour(Role::Accent), 2));
            painter.drawRect(slot.adjusted(-1, -1, 1, 1));
        }
    }
    focusRing(painter);
}

void FrameStrip::mousePressEvent(QMouseEvent* event) {
    seekTo(axis().at(event->position().x()));
}

void FrameStrip::mouseMoveEvent(QMouseEvent* event) {
    const int sample = axis().at(event->position().x());
    if (sample < 0)
        return;
    Q_EMIT hovered(tr("sampled frame %1: frame %2 at %3 s, %4")
                       .arg(sample + 1)
                       .arg(scene().run().frameIndex[std::size_t(sample)])
                       .arg(scene().run().frameSeconds[std::size_t(sample)], 0, 'f', 2)
                       .arg(scene().sampleWords(sample)));
}

} // namespace canopy::ui
