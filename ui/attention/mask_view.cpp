#include "ui/attention/mask_view.h"

#include <algorithm>
#include <cmath>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {

MaskView::MaskView(AttentionSelection* selection, QWidget* parent)
    : AttentionView(selection, tr("Block mask of the chosen head"), "maskView", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    connect(selection, &AttentionSelection::queryChanged, this, [this] {
        describe();
        update();
    });
}

QSize MaskView::sizeHint() const {
    return {m_theme.px(400), m_theme.px(220)};
}

QSize MaskView::minimumSizeHint() const {
    return {m_theme.px(200), m_theme.px(120)};
}

void MaskView::setLook(MaskLook look) {
    m_look = look;
    describe();
    update();
}

QRectF MaskView::area() const {
    return QRectF(rect()).adjusted(2, 2, -2, -2);
}

const BlockBitmap* MaskView::shown() const {
    return m_look == MaskLook::Anchor ? m_selection->maskBefore() : m_selection->mask();
}

double MaskView::overlap() const {
    const BlockBitmap *now = m_selection->mask(), *before = m_selection->maskBefore();
    if (!now || !before || now->blocks != before->blocks)
        return -1;
    int both = 0, any = 0;
    for (int q = 0; q < now->blocks; ++q)
        for (int k = 0; k < now->blocks; ++k) {
            both += now->kept(q, k) && before->kept(q, k);
            any += now->kept(q, k) || before->kept(q, k);
        }
    return any > 0 ? double(both) / any : 1;
}

QString MaskView::whyNone() const {
    if (m_selection->isEmpty())
        return tr("Which blocks of keys each block of queries sees.");
    switch (m_selection->stateOf(m_selection->cell())) {
    case HeadState::Dense:
        return tr("Dense: every block of queries sees every block of keys.");
    case HeadState::NotRun:
        return tr("This step has not run yet.");
    default:
        break;
    }
    const auto& request = m_selection->run().request;
    if (request && request->attention.method == AttentionMethod::Svg2)
        return tr("SVG2 chooses clusters of tokens, not blocks: there is no block mask.");
    if (m_look != MaskLook::Current && m_selection->mask())
        return tr("There is no earlier choice to compare with.");
    return tr("The mask of this step was not recorded. Masks are recorded for the layer that is shown, from "
              "its next step on; a recording with masks has all of them.");
}

QString MaskView::queryWords() const {
    const BlockBitmap* mask = shown();
    const int block = m_selection->queryBlock();
    if (!mask || block < 0 || block >= mask->blocks)
        return {};
    int kept = 0;
    for (int k = 0; k < mask->blocks; ++k)
        kept += mask->kept(block, k);
    const QString count = tr("%1 of %2 key blocks").arg(kept).arg(mask->blocks);
    const TokenGrid grid = m_selection->grid();
    if (grid.frameTokens() <= 0)
        return tr("q-block %1: %2").arg(block).arg(count);
    const int first = block * kBlockTokens, last = std::min(first + kBlockTokens, grid.tokens()) - 1;
    const int frame = first / grid.frameTokens();
    const int row = first % grid.frameTokens() / grid.columns;
    const int lastRow = last % grid.frameTokens() / grid.columns, lastFrame = last / grid.frameTokens();
    if (frame == lastFrame)
        return tr("q-block %1: latent frame %2, token rows %3 to %4, %5")
            .arg(block)
            .arg(frame)
            .arg(row)
            .arg(lastRow)
            .arg(count);
    return tr("q-block %1: latent frames %2 and %3, %4").arg(block).arg(frame).arg(lastFrame).arg(count);
}

void MaskView::describe() {
    const QString query = queryWords();
    const QString cell = m_selection->isEmpty() ? QString() : m_selection->words(m_selection->cell());
    setAccessibleDescription(shown() ? (query.isEmpty() ? cell : query) : whyNone());
}

QImage MaskView::picture(const BlockBitmap& mask, const BlockBitmap* against) const {
    const QRgb none = m_theme.colour(Role::Surround).rgb();
    const QRgb kept = m_theme.colour(Role::Computed).rgb();
    const QRgb gone = m_theme.colour(Role::Forced).rgb();
    QImage image(mask.blocks, mask.blocks, QImage::Format_RGB32);
    for (int q = 0; q < mask.blocks; ++q) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(q));
        for (int k = 0; k < mask.blocks; ++k) {
            const bool now = mask.kept(q, k), before = against && against->kept(q, k);
            if (!against)
                line[k] = now ? kept : none;
            else
                line[k] = now == before ? none : now ? kept : gone;
        }
    }
    return image;
}

void MaskView::paintFrames(QPainter& painter, const QRectF& all, int blocks) const {
    const TokenGrid grid = m_selection->grid();
    if (grid.frameTokens() <= 0)
        return;
    const double perFrame = double(grid.frameTokens()) / kBlockTokens;
    if (perFrame * all.height() / blocks < m_theme.px(4))
        return; // lines would hide the mask
    QColor line = m_theme.colour(Role::Outline);
    line.setAlphaF(0.6F);
    for (int f = 1; f < grid.frames; ++f) {
        const double share = f * perFrame / blocks;
        painter.fillRect(QRectF(std::round(all.left() + share * all.width()), all.top(), 1, all.height()),
                         line);
        painter.fillRect(QRectF(all.left(), std::round(all.top() + share * all.height()), all.width(), 1),
                         line);
    }
}

void MaskView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    const QRectF all = area();
    const BlockBitmap* mask = shown();
    const BlockBitmap* before = m_look == MaskLook::Difference ? m_selection->maskBefore() : nullptr;
    if (!mask || (m_look == MaskLook::Difference && (!before || before->blocks != mask->blocks))) {
        painter.fillRect(all, m_theme.colour(Role::Surround));
        paintHint(painter, whyNone());
        return focusRing(painter);
    }
    painter.setRenderHint(QPainter::SmoothPixmapTransform, mask->blocks > all.width());
    painter.drawImage(all, picture(*mask, before));
    paintFrames(painter, all, mask->blocks);
    painter.setPen(QPen(m_theme.colour(Role::Outline), 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(all);
    if (const int block = m_selection->queryBlock(); block >= 0 && block < mask->blocks) {
        const double h = all.height() / mask->blocks;
        const QRectF row(all.left() - 1, all.top() + block * h - 1, all.width() + 2, h + 2);
        painter.setPen(QPen(m_theme.colour(Role::Accent), 2 * m_theme.scale()));
        painter.drawRect(row);
    }
    focusRing(painter);
}

int MaskView::blockAt(const QPointF& point) const {
    const BlockBitmap* mask = shown();
    const QRectF all = area();
    if (!mask || !all.contains(point))
        return -1;
    return std::min(int((point.y() - all.top()) / all.height() * mask->blocks), mask->blocks - 1);
}

void MaskView::mousePressEvent(QMouseEvent* event) {
    m_selection->setQueryBlock(blockAt(event->position()));
}

void MaskView::mouseMoveEvent(QMouseEvent* event) {
    const int block = blockAt(event->position());
    if (block >= 0)
        m_selection->setQueryBlock(block);
    Q_EMIT hovered(block >= 0 ? queryWords() : QString());
}

void MaskView::keyPressEvent(QKeyEvent* event) {
    const BlockBitmap* mask = shown();
    const int last = mask ? mask->blocks - 1 : -1, now = m_selection->queryBlock();
    const auto go = [&](int block) {
        m_selection->setQueryBlock(std::clamp(block, std::min(0, last), last));
        Q_EMIT hovered(queryWords());
    };
    switch (event->key()) {
    case Qt::Key_Up:
        return go(now - 1);
    case Qt::Key_Down:
        return go(now + 1);
    case Qt::Key_PageUp:
        return go(now - 10);
    case Qt::Key_PageDown:
        return go(now + 10);
    case Qt::Key_Home:
        return go(0);
    case Qt::Key_End:
        return go(last);
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace canopy::ui
