#include "ui/attention/key_frame_view.h"

#include <algorithm>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {

KeyFrameView::KeyFrameView(AttentionSelection* selection, QWidget* parent)
    : AttentionView(selection, tr("Keys of the chosen block on the picture"), "keyFrameView", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    connect(selection, &AttentionSelection::runChanged, this, &KeyFrameView::takePicture);
    connect(selection, &AttentionSelection::queryChanged, this, [this] {
        // The frame of the block itself, so that block and keys are seen together.
        const TokenGrid grid = m_selection->grid();
        if (m_selection->queryBlock() >= 0 && grid.frameTokens() > 0)
            setFrame(m_selection->queryBlock() * kBlockTokens / grid.frameTokens());
        describe();
        update();
    });
}

QSize KeyFrameView::sizeHint() const {
    return {m_theme.px(520), m_theme.px(300)};
}

QSize KeyFrameView::minimumSizeHint() const {
    return {m_theme.px(240), m_theme.px(140)};
}

void KeyFrameView::setFrame(int frame) {
    const int frames = std::max(1, m_selection->grid().frames);
    frame = std::clamp(frame, 0, frames - 1);
    if (frame == m_frame)
        return;
    m_frame = frame;
    m_preview.reset();
    takePicture();
    describe();
    update();
    Q_EMIT frameChanged(frame);
}

void KeyFrameView::setShowsKeys(bool shows) {
    m_showsKeys = shows;
    update();
}

void KeyFrameView::takePicture() {
    const auto& preview = m_selection->run().preview;
    if (preview == m_preview)
        return;
    m_preview = preview;
    if (!preview) {
        m_picture = {};
        return;
    }
    // A preview may have fewer pictures than there are latent frames.
    const int frames = std::max(1, m_selection->grid().frames);
    const int index = std::clamp(m_frame * preview->frames / frames, 0, preview->frames - 1);
    const auto* bytes = preview->rgb.data() +
                        std::size_t(index) * std::size_t(preview->width) * std::size_t(preview->height) * 3;
    m_picture =
        QImage(bytes, preview->width, preview->height, qsizetype(preview->width) * 3, QImage::Format_RGB888)
            .copy();
    update();
}

QRectF KeyFrameView::target() const {
    const TokenGrid grid = m_selection->grid();
    QSizeF size = grid.columns > 0 ? QSizeF(grid.columns, grid.rows) : QSizeF(m_picture.size());
    if (size.isEmpty())
        return {};
    size.scale(QSizeF(this->size()), Qt::KeepAspectRatio);
    return {(width() - size.width()) / 2, (height() - size.height()) / 2, size.width(), size.height()};
}

std::vector<QRectF> KeyFrameView::spans(const QRectF& picture, int firstToken, int lastToken) const {
    const TokenGrid grid = m_selection->grid();
    const int begin = std::max(firstToken - m_frame * grid.frameTokens(), 0);
    const int end = std::min(lastToken + 1 - m_frame * grid.frameTokens(), grid.frameTokens());
    const double w = picture.width() / grid.columns, h = picture.height() / grid.rows;
    std::vector<QRectF> rects;
    for (int t = begin; t < end;) {
        const int row = t / grid.columns, column = t % grid.columns;
        // Whole rows together, a begun or cut row alone.
        int next = std::min((row + 1) * grid.columns, end), rows = 1;
        if (column == 0 && next == (row + 1) * grid.columns) {
            rows = (end - t) / grid.columns;
            next = t + rows * grid.columns;
        }
        const int columns = rows > 1 ? grid.columns : next - t;
        rects.emplace_back(picture.left() + column * w, picture.top() + row * h, columns * w, rows * h);
        t = next;
    }
    return rects;
}

void KeyFrameView::paintKeys(QPainter& painter, const QRectF& picture) const {
    const BlockBitmap* mask = m_selection->mask();
    const int query = m_selection->queryBlock();
    const TokenGrid grid = m_selection->grid();
    if (!mask || query < 0 || query >= mask->blocks || grid.frameTokens() <= 0)
        return;
    const int firstToken = m_frame * grid.frameTokens(), lastToken = firstToken + grid.frameTokens() - 1;
    const int first = firstToken / kBlockTokens, last = std::min(lastToken / kBlockTokens, mask->blocks - 1);
    int kept = 0;
    const double u = m_theme.scale();
    painter.setRenderHint(QPainter::Antialiasing, false);
    for (int b = first; b <= last; ++b) {
        const auto rects = spans(picture, b * kBlockTokens, b * kBlockTokens + kBlockTokens - 1);
        kept += mask->kept(query, b);
        if (!mask->kept(query, b))
            for (const QRectF& r : rects)
                painter.fillRect(r, m_theme.maps().skippedVeil);
        // A line where one block ends and the other begins.
        if (b > first && mask->kept(query, b) != mask->kept(query, b - 1) && !rects.empty()) {
            painter.setPen(QPen(Qt::white, std::max(1.0, u)));
            const QRectF& r = rects.front();
            painter.drawLine(r.topLeft(), r.topRight());
            if (r.left() > picture.left()) {
                painter.drawLine(QPointF(picture.left(), r.bottom()), QPointF(r.left(), r.bottom()));
                painter.drawLine(r.topLeft(), r.bottomLeft());
            }
        }
    }
    for (const QRectF& r : spans(picture, query * kBlockTokens, query * kBlockTokens + kBlockTokens - 1)) {
        painter.fillRect(r, m_theme.maps().queryBlock);
        painter.setPen(QPen(m_theme.colour(Role::Accent), std::max(1.0, u)));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(r);
    }
    paintPlate(painter, picture, tr("%1 of %2 blocks of this frame kept").arg(kept).arg(last - first + 1));
}

void KeyFrameView::paintPlate(QPainter& painter, const QRectF& picture, const QString& text) const {
    painter.setFont(m_theme.font(TextStyle::Label));
    const double w = painter.fontMetrics().horizontalAdvance(text) + m_theme.px(16), h = m_theme.px(22);
    const QRectF plate(picture.left(), picture.top(), w, h);
    painter.fillRect(plate, m_theme.maps().plate);
    painter.setPen(m_theme.maps().plateText);
    painter.drawText(plate, Qt::AlignCenter, text);
}

void KeyFrameView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.colour(Role::Surround));
    const QRectF picture = target();
    if (m_selection->isEmpty() || picture.isEmpty()) {
        paintHint(painter,
                  tr("Make a clip with sparse attention, or open a recording (File, Open session)."));
        return focusRing(painter);
    }
    if (m_picture.isNull()) {
        painter.fillRect(picture, m_theme.colour(Role::Raised));
    } else {
        painter.setRenderHint(QPainter::SmoothPixmapTransform);
        painter.drawImage(picture, m_picture);
    }
    if (m_showsKeys)
        paintKeys(painter, picture);
    focusRing(painter);
}

QString KeyFrameView::words() const {
    const BlockBitmap* mask = m_selection->mask();
    const int query = m_selection->queryBlock();
    const TokenGrid grid = m_selection->grid();
    const QString frame = tr("latent frame %1 of %2").arg(m_frame).arg(grid.frames);
    if (!mask || query < 0 || query >= mask->blocks || grid.frameTokens() <= 0)
        return frame;
    const int first = m_frame * grid.frameTokens() / kBlockTokens;
    const int last = std::min(((m_frame + 1) * grid.frameTokens() - 1) / kBlockTokens, mask->blocks - 1);
    int kept = 0;
    for (int b = first; b <= last; ++b)
        kept += mask->kept(query, b);
    return tr("%1: q-block %2 sees %3 of its %4 blocks")
        .arg(frame)
        .arg(query)
        .arg(kept)
        .arg(last - first + 1);
}

void KeyFrameView::describe() {
    setAccessibleDescription(m_selection->isEmpty() ? QString() : words());
}

void KeyFrameView::mouseMoveEvent(QMouseEvent*) {
    Q_EMIT hovered(m_selection->isEmpty() ? QString() : words());
}

void KeyFrameView::keyPressEvent(QKeyEvent* event) {
    switch (event->key()) {
    case Qt::Key_Left:
        return setFrame(m_frame - 1);
    case Qt::Key_Right:
        return setFrame(m_frame + 1);
    case Qt::Key_Home:
        return setFrame(0);
    case Qt::Key_End:
        return setFrame(m_selection->grid().frames - 1);
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace canopy::ui
