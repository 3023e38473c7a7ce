#include "ui/cache/cache_map_view.h"

#include <algorithm>
#include <cmath>

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include "ui/cache/cache_painter.h"

namespace canopy::ui {
namespace {

// Pixels at scale 1.
constexpr int kGutter = 52;
constexpr int kRuler = 22;
constexpr int kMemory = 10;
constexpr int kWords = 22;
constexpr int kRowMin = 3;
constexpr int kRowMax = 16;

/// Frames between two numbers of the ruler.
int rulerStep(double frameWidth, double room) {
    for (const int step : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512})
        if (step * frameWidth >= room)
            return step;
    return 1024;
}

} // namespace

QRectF CacheMapLayout::column(const CacheScene& scene, int chunk) const {
    const auto& c = scene.chunks[std::size_t(chunk)];
    const double left = std::round(frameX(c.firstFrame)) + (chunk > 0 ? gap : 0);
    const double right = std::round(frameX(c.firstFrame + c.frames));
    return {left, map.top(), std::max(1.0, right - left), map.height()};
}

QRectF CacheMapLayout::cell(const CacheScene& scene, int chunk, int step) const {
    const QRectF c = column(scene, chunk);
    return {c.left(), map.top() + rowHeight * step, c.width(), rowHeight > 3 ? rowHeight - 1 : rowHeight};
}

double CacheMapLayout::frameX(int frame) const {
    return map.left() + frameWidth * frame;
}

CacheMapLayout layoutCacheMap(const CacheScene& scene, const QSizeF& size, const Theme& theme) {
    CacheMapLayout at;
    at.chunks = scene.chunkCount();
    at.steps = std::max(1, scene.steps);
    const double left = theme.px(kGutter), top = theme.px(kRuler);
    const double below = theme.px(4) + theme.px(kMemory) + theme.px(kWords);
    at.rowHeight = std::clamp(std::floor((size.height() - top - below) / at.steps), double(theme.px(kRowMin)),
                              double(theme.px(kRowMax)));
    at.map = QRectF(left, top, std::max(1.0, size.width() - left - theme.px(12)), at.rowHeight * at.steps);
    at.ruler = QRectF(left, 0, at.map.width(), top);
    at.memory = QRectF(left, at.map.bottom() + theme.px(4), at.map.width(), theme.px(kMemory));
    at.words = QRectF(left, at.memory.bottom(), at.map.width(), theme.px(kWords));
    at.frameWidth = at.map.width() / std::max(1, scene.frames());
    at.gap = theme.px(2);
    return at;
}

CacheMapView::CacheMapView(CacheSelection* selection, QWidget* parent)
    : CacheView(selection, tr("Cache map: a column for each chunk, a row for each of its steps"), "cacheMap",
                parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
}

QSize CacheMapView::sizeHint() const {
    const int rows = std::max(1, scene().steps);
    return {m_theme.px(720), m_theme.px(kRuler + 4 + kMemory + kWords) + rows * m_theme.px(5)};
}

QSize CacheMapView::minimumSizeHint() const {
    const int rows = std::max(1, scene().steps);
    return {m_theme.px(280), m_theme.px(kRuler + 4 + kMemory + kWords) + rows * m_theme.px(kRowMin)};
}

CacheMapLayout CacheMapView::layoutNow() const {
    return layoutCacheMap(scene(), QSizeF(size()), m_theme);
}

void CacheMapView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (scene().isEmpty()) {
        paintSentence(painter, rect(), m_selection->emptyWords());
        return focusRing(painter);
    }
    const CacheMapLayout at = layoutNow();
    paintRuler(painter, at);
    for (int chunk = 0; chunk < at.chunks; ++chunk) {
        paintColumn(painter, at, chunk);
        paintBelow(painter, at, chunk);
    }
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const double h = painter.fontMetrics().height();
    const QRectF gutter(0, 0, at.map.left() - m_theme.px(6), h);
    painter.drawText(gutter.translated(0, at.map.top() - h * 0.2), Qt::AlignLeft, tr("step 0"));
    painter.drawText(gutter.translated(0, at.map.bottom() - h * 0.9), Qt::AlignLeft,
                     tr("step %1").arg(at.steps - 1));
    painter.drawText(gutter.translated(0, at.memory.center().y() - h / 2), Qt::AlignLeft, tr("KV"));
    paintPlayhead(painter, at);
    paintCellCursor(painter, at.cell(scene(), m_selection->chunk(), m_selection->step()), m_theme);
    focusRing(painter);
}

void CacheMapView::paintRuler(QPainter& painter, const CacheMapLayout& at) {
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    painter.drawText(QRectF(0, 0, at.map.left(), at.ruler.height() - m_theme.px(6)),
                     Qt::AlignLeft | Qt::AlignVCenter, tr("frame"));
    const double widest = painter.fontMetrics().horizontalAdvance(QString::number(scene().frames()));
    const int step = rulerStep(at.frameWidth, widest + m_theme.px(24));
    const double tick = m_theme.px(4);
    for (int frame = 0; frame < scene().frames(); frame += step) {
        const double x = std::round(at.frameX(frame));
        painter.fillRect(QRectF(x, at.ruler.bottom() - tick, 1, tick), m_theme.colour(Role::Outline));
        if (x + widest < at.map.right() + m_theme.px(8))
            painter.drawText(QRectF(x + m_theme.px(2), 0, widest + 4, at.ruler.height() - m_theme.px(6)),
                             Qt::AlignLeft | Qt::AlignVCenter, QString::number(frame));
    }
}

void CacheMapView::paintColumn(QPainter& painter, const CacheMapLayout& at, int chunk) {
    if (scene().chunks[std::size_t(chunk)].given) {
        painter.setPen(QPen(m_theme.colour(Role::Outline), 1));
        const QRectF column = at.column(scene(), chunk);
        painter.drawRect(column.adjusted(0, 0, -1, -1));
        painter.setFont(m_theme.font(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text3));
        painter.drawText(column, Qt::AlignCenter, tr("given"));
        return;
    }
    // A map known before sampling stands faintly where nothing has run yet.
    const auto& planned = scene().planned;
    for (int step = 0; step < at.steps; ++step) {
        const QRectF cell = at.cell(scene(), chunk, step);
        const CacheState state = scene().cell(chunk, step).state;
        if (state == CacheState::NotRun && std::size_t(step) < planned.size()) {
            painter.setOpacity(0.35);
            paintCacheState(painter, cell, planned[std::size_t(step)], m_theme);
            painter.setOpacity(1);
        } else {
            paintCacheState(painter, cell, state, m_theme);
        }
    }
}

void CacheMapView::paintBelow(QPainter& painter, const CacheMapLayout& at, int chunk) {
    const QRectF column = at.column(scene(), chunk);
    const QRectF bar(column.left(), at.memory.top(), column.width(), at.memory.height());
    paintKeptShare(painter, bar, scene(), chunk, m_theme);

    paintWords(painter, QRectF(column.left(), at.words.top(), column.width(), at.words.height()), chunk);
}

void CacheMapView::paintWords(QPainter& painter, const QRectF& line, int chunk) {
    const int run = scene().stepsRun(chunk);
    QFont strong = m_theme.font(TextStyle::Caption);
    strong.setWeight(QFont::DemiBold);
    painter.setFont(strong);
    const QString number = tr("Chunk %1").arg(chunk + 1);
    const double name = painter.fontMetrics().horizontalAdvance(number) + m_theme.px(8);
    painter.setPen(m_theme.colour(run ? Role::Text : Role::Text3));
    if (name > line.width())
        return painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, QString::number(chunk + 1));
    painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, number);

    QStringList figures; // the longest that there is room for
    if (scene().chunks[std::size_t(chunk)].given) {
        figures << tr("given");
    } else if (run == 0) {
        figures << tr("not started");
    } else {
        const QString share = tr("%1 %").arg(std::lround(100.0 * scene().stepsReused(chunk) / run), 2);
        const QString saved = QLocale().toString(-scene().savedSeconds(chunk), 'f', 1);
        figures << tr("%1 %2 s").arg(share, saved.rightJustified(5)) << tr("%1 %2 s").arg(share, saved)
                << share;
    }
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(run ? Role::Text2 : Role::Text3));
    for (const auto& text : figures)
        if (name + painter.fontMetrics().horizontalAdvance(text) + m_theme.px(4) <= line.width())
            return painter.drawText(line.adjusted(name, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, text);
}

void CacheMapView::paintPlayhead(QPainter& painter, const CacheMapLayout& at) {
    const int frame = m_selection->frame();
    if (frame < 0 || frame >= scene().frames())
        return;
    paintPlayheadAt(painter, std::round(at.frameX(frame) + at.frameWidth / 2),
                    at.ruler.bottom() - 2 * m_theme.scale(), at.memory.bottom(), m_theme);
}

CacheMapView::Hit CacheMapView::hitAt(const QPointF& point) const {
    Hit hit;
    if (scene().isEmpty())
        return hit;
    const CacheMapLayout at = layoutNow();
    const int frame = int(std::floor((point.x() - at.map.left()) / at.frameWidth));
    if (frame < 0 || frame >= scene().frames())
        return hit;
    hit.frame = frame;
    hit.chunk = scene().chunkAt(frame);
    if (point.y() >= at.map.top() && point.y() < at.map.bottom())
        hit.step = int((point.y() - at.map.top()) / at.rowHeight);
    return hit;
}

void CacheMapView::mousePressEvent(QMouseEvent* event) {
    const Hit hit = hitAt(event->position());
    if (hit.chunk < 0 || event->button() != Qt::LeftButton)
        return;
    m_selection->select(hit.chunk, hit.step >= 0 ? hit.step : m_selection->step());
    Q_EMIT m_selection->seekRequested(hit.frame);
}

void CacheMapView::mouseDoubleClickEvent(QMouseEvent* event) {
    const Hit hit = hitAt(event->position());
    if (hit.chunk >= 0 && hit.step >= 0)
        Q_EMIT m_selection->opened(hit.chunk, hit.step);
}

void CacheMapView::mouseMoveEvent(QMouseEvent* event) {
    const Hit hit = hitAt(event->position());
    if (event->buttons() & Qt::LeftButton && hit.frame >= 0)
        Q_EMIT m_selection->seekRequested(hit.frame);
    Q_EMIT m_selection->hovered(hit.chunk >= 0 && hit.step >= 0 ? m_selection->words(hit.chunk, hit.step)
                                                                : QString());
}

} // namespace canopy::ui
