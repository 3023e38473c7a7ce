#include "ui/timeline/chunk_timeline_view.h"

#include <algorithm>
#include <cmath>

#include <QContextMenuEvent>
#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QToolTip>

#include "ui/cache/cache_painter.h"
#include "ui/cache/kv_memory_view.h"

namespace canopy::ui {
namespace {

// Pixels at scale 1.
constexpr int kGutter = 82;
constexpr int kTotals = 88;
constexpr int kRuler = 18;
constexpr int kFilm = 46;
constexpr int kCache = 28;
constexpr int kMemory = 10;
constexpr int kDrift = 26;
constexpr int kBetween = 7;
constexpr int kFilmMillis = 250; ///< between two looks for new pictures

constexpr double kColourLimit = 10; ///< CIELAB distance at the upper edge of the drift row

QString clock(double seconds) {
    const int whole = int(std::lround(seconds));
    return QStringLiteral("%1:%2").arg(whole / 60).arg(whole % 60, 2, 10, QLatin1Char('0'));
}

/// "0:01.25"
QString subSecond(double seconds, double step) {
    const int digits = step < 0.5 ? 2 : 1;
    const QString rest = QLocale().toString(std::fmod(seconds, 60), 'f', digits);
    return QStringLiteral("%1:%2").arg(int(seconds) / 60).arg(rest, 3 + digits, QLatin1Char('0'));
}

} // namespace

QRectF TimelineLayout::chunk(const CacheScene& scene, int chunk, const QRectF& row) const {
    const auto& c = scene.chunks[std::size_t(chunk)];
    const double left = std::round(frameX(c.firstFrame)) + (chunk > 0 ? gap : 0);
    return {left, row.top(), std::max(1.0, std::round(frameX(c.firstFrame + c.frames)) - left), row.height()};
}

TimelineLayout layoutTimeline(const CacheScene& scene, const QSizeF& size, bool foldsDrift,
                              const Theme& theme) {
    TimelineLayout at;
    const double left = theme.px(kGutter), width = std::max(1.0, size.width() - left - theme.px(kTotals));
    double y = 0;
    const auto row = [&](int height, int after) {
        const QRectF r(left, y, width, theme.px(height));
        y += theme.px(height) + theme.px(after);
        return r;
    };
    at.ruler = row(kRuler, 1);
    at.film = row(kFilm, kBetween);
    at.cache = row(kCache, kBetween);
    at.memory = row(kMemory, kBetween);
    if (!foldsDrift)
        at.drift = row(kDrift, 2);
    at.frameWidth = width / std::max(1, scene.frames());
    at.gap = theme.px(2);
    return at;
}

ChunkTimelineView::ChunkTimelineView(CacheSelection* selection, QWidget* parent)
    : CacheView(selection, tr("Chunks of the clip, aligned with its frames"), "chunkTimeline", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setToolTip(QString());
    m_filmTimer.setSingleShot(true);
    m_filmTimer.setInterval(kFilmMillis);
    connect(&m_filmTimer, &QTimer::timeout, this, &ChunkTimelineView::takePictures);
    connect(selection, &CacheSelection::sceneChanged, this, [this] { picturesChanged(false); });
}

QSize ChunkTimelineView::sizeHint() const {
    const int rows = kRuler + 1 + kFilm + kCache + kMemory + 3 * kBetween + (m_folded ? 0 : kDrift + 2);
    return {m_theme.px(640), m_theme.px(rows)};
}

QSize ChunkTimelineView::minimumSizeHint() const {
    return {m_theme.px(kGutter + kTotals + 120), sizeHint().height()};
}

void ChunkTimelineView::setFolded(bool drift) {
    if (drift == m_folded)
        return;
    m_folded = drift;
    updateGeometry();
    update();
}

void ChunkTimelineView::setFacts(TimelineFacts facts) {
    m_facts = std::move(facts);
    update();
}

void ChunkTimelineView::picturesChanged(bool otherClip) {
    if (otherClip) {
        m_film.clear();
        update();
    }
    if (!m_filmTimer.isActive())
        m_filmTimer.start();
}

void ChunkTimelineView::resizeEvent(QResizeEvent* event) {
    CacheView::resizeEvent(event);
    picturesChanged(false);
}

TimelineLayout ChunkTimelineView::layoutNow() const {
    return layoutTimeline(scene(), QSizeF(size()), m_folded, m_theme);
}

std::vector<int> ChunkTimelineView::slotsOf(const QRectF& cell, int chunk) const {
    const auto& c = scene().chunks[std::size_t(chunk)];
    const double aspect = m_facts.pictureSize.isEmpty()
                              ? 16.0 / 9
                              : double(m_facts.pictureSize.width()) / m_facts.pictureSize.height();
    const int count = std::max(1, int(std::lround(cell.width() / (cell.height() * aspect))));
    std::vector<int> frames;
    for (int i = 0; i < count; ++i)
        frames.push_back(c.firstFrame + std::min(c.frames - 1, (2 * i + 1) * c.frames / (2 * count)));
    return frames;
}

void ChunkTimelineView::takePictures() {
    if (!m_hasTheme || scene().isEmpty() || !m_picture || !isVisible())
        return;
    const TimelineLayout at = layoutNow();
    std::map<int, QImage> film;
    for (int chunk = 0; chunk < scene().chunkCount(); ++chunk)
        for (const int frame : slotsOf(at.chunk(scene(), chunk, at.film), chunk)) {
            const auto kept = m_film.find(frame);
            // A finished frame stays as it is; previews change.
            const bool final = frame < m_facts.finishedFrames;
            if (kept != m_film.end() && final &&
                kept->second.text(QStringLiteral("final")) == QLatin1String("1") &&
                kept->second.height() >= int(at.film.height())) {
                film.insert(*kept);
                continue;
            }
            QImage picture = m_picture(frame);
            if (picture.isNull()) {
                if (kept != m_film.end())
                    film.insert(*kept);
                continue;
            }
            picture = picture.scaledToHeight(int(at.film.height()), Qt::SmoothTransformation);
            picture.setText(QStringLiteral("final"), final ? QStringLiteral("1") : QStringLiteral("0"));
            film[frame] = std::move(picture);
        }
    m_film = std::move(film);
    update();
}

bool ChunkTimelineView::isMaking(int chunk) const {
    const auto& c = scene().chunks[std::size_t(chunk)];
    return m_facts.isLive() && !c.given && !c.done && scene().stepsRun(chunk) > 0;
}

QString ChunkTimelineView::chunkWords(int chunk) const {
    if (scene().isEmpty() || chunk < 0 || chunk >= scene().chunkCount())
        return {};
    const QLocale locale;
    const auto& c = scene().chunks[std::size_t(chunk)];
    const auto seconds = [&](int frame) {
        return locale.toString(frame / std::max(1.0, m_facts.fps), 'f', 2);
    };
    QStringList words;
    words << tr("Chunk %1 of %2, %3 to %4 s")
                 .arg(chunk + 1)
                 .arg(scene().chunkCount())
                 .arg(seconds(c.firstFrame), seconds(c.firstFrame + c.frames));
    const int run = scene().stepsRun(chunk), reused = scene().stepsReused(chunk);
    const auto left =
        std::size_t(chunk) < m_facts.secondsLeft.size() ? m_facts.secondsLeft[std::size_t(chunk)] : 0;
    if (c.given)
        words << tr("given, stays as it is");
    else if (run == 0)
        words << (m_facts.isLive() && left > 0 ? tr("not begun, about %1 to make").arg(clock(left))
                                               : tr("not begun"));
    else
        words << (c.done || !m_facts.isLive() ? tr("%1 of %2 steps reused").arg(reused).arg(run)
                                              : tr("step %1 of %2, %3 reused, about %4 left")
                                                    .arg(run)
                                                    .arg(scene().steps)
                                                    .arg(reused)
                                                    .arg(clock(left)));
    if (const auto& kept = scene().kept; std::size_t(chunk) < kept.size() && kept[std::size_t(chunk)]) {
        const double share = kept[std::size_t(chunk)]->share;
        words << (share < 1 - 1e-9 ? tr("compressed to %1 % of its keys").arg(std::lround(share * 100))
                                   : tr("all of its keys in memory"));
    }
    if (chunk > 0 && std::size_t(chunk) < m_facts.chunkDrift.size()) {
        const Drift& d = m_facts.chunkDrift[std::size_t(chunk)];
        words << tr("against chunk 1: colour %1, sharpness %2 %, similarity %3")
                     .arg(locale.toString(d.colour, 'f', 1))
                     .arg(std::lround(d.sharpness * 100))
                     .arg(locale.toString(d.similarity, 'f', 2));
    }
    return words.join(QStringLiteral(", "));
}

void ChunkTimelineView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (scene().isEmpty()) {
        paintSentence(painter, rect().adjusted(m_theme.px(2), 0, 0, 0), m_selection->emptyWords());
        return focusRing(painter);
    }
    const TimelineLayout at = layoutNow();
    paintRuler(painter, at);
    for (int chunk = 0; chunk < scene().chunkCount(); ++chunk) {
        paintFilm(painter, at, chunk);
        paintCache(painter, at, chunk);
        paintMemory(painter, at, chunk);
    }
    if (!m_folded)
        paintDrift(painter, at);
    paintGutters(painter, at);
    paintPlayhead(painter, at);
    const QRectF chosen = at.chunk(scene(), m_selection->chunk(), at.film);
    if (hasFocus())
        paintCellCursor(painter, chosen, m_theme);
    else
        painter.fillRect(QRectF(chosen.left(), chosen.bottom() + 2, chosen.width(), 2),
                         m_theme.colour(Role::Playhead));
    focusRing(painter);
}

void ChunkTimelineView::paintRuler(QPainter& painter, const TimelineLayout& at) {
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const double seconds = scene().frames() / std::max(1.0, m_facts.fps);
    const double widest = painter.fontMetrics().horizontalAdvance(QStringLiteral("0:00.00"));
    double step = 600;
    for (const double candidate : {0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0})
        if (candidate * m_facts.fps * at.frameWidth >= widest + m_theme.px(20)) {
            step = candidate;
            break;
        }
    for (double t = 0; t <= seconds; t += step) {
        const double x = std::round(at.film.left() + t * m_facts.fps * at.frameWidth);
        painter.fillRect(QRectF(x, at.ruler.bottom() - m_theme.px(4), 1, m_theme.px(4)),
                         m_theme.colour(Role::Outline));
        if (x + widest > at.film.right() + m_theme.px(kTotals))
            break;
        painter.setPen(m_theme.colour(Role::Text2));
        const QString text = step >= 1 ? clock(t) : subSecond(t, step);
        painter.drawText(QRectF(x + m_theme.px(3), 0, widest + 8, at.ruler.height() - m_theme.px(3)),
                         Qt::AlignLeft | Qt::AlignVCenter, text);
    }
}

void ChunkTimelineView::paintFilm(QPainter& painter, const TimelineLayout& at, int chunk) {
    const QRectF cell = at.chunk(scene(), chunk, at.film);
    painter.fillRect(cell, m_theme.colour(Role::Surround));
    const auto frames = slotsOf(cell, chunk);
    painter.save();
    painter.setClipRect(cell);
    const double slot = cell.width() / double(frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i)
        if (const auto found = m_film.find(frames[i]); found != m_film.end()) {
            // The middle of the picture, cut to the slot rather than squeezed.
            const QRectF to(cell.left() + slot * double(i), cell.top(), slot, cell.height());
            const QImage& image = found->second;
            const double scale = std::max(to.width() / image.width(), to.height() / image.height());
            const QSizeF part(to.width() / scale, to.height() / scale);
            painter.drawImage(
                to, image,
                QRectF(QPointF((image.width() - part.width()) / 2, (image.height() - part.height()) / 2),
                       part));
        }
    painter.restore();
    const auto& c = scene().chunks[std::size_t(chunk)];
    const bool making = isMaking(chunk);
    painter.setBrush(Qt::NoBrush);
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setPen(QPen(m_theme.colour(making ? Role::Accent : Role::Outline), making ? 2 : 1));
    painter.drawRect(making ? cell.adjusted(1, 1, -1, -1) : cell.adjusted(0, 0, -1, -1));
    const bool begun = c.done || c.given || scene().stepsRun(chunk) > 0;
    const auto left =
        std::size_t(chunk) < m_facts.secondsLeft.size() ? m_facts.secondsLeft[std::size_t(chunk)] : 0;
    if (!begun && left > 0) {
        painter.setFont(m_theme.monoFont(TextStyle::Label));
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(cell, Qt::AlignCenter, clock(left));
    }
    paintPlate(painter, cell, chunk);
}

void ChunkTimelineView::paintPlate(QPainter& painter, const QRectF& cell, int chunk) {
    const auto& c = scene().chunks[std::size_t(chunk)];
    QFont strong = m_theme.font(TextStyle::Caption);
    strong.setWeight(QFont::DemiBold);
    QString text = QString::number(chunk + 1);
    painter.setFont(strong);
    const double pad = m_theme.px(5);
    const auto fits = [&](const QString& t) {
        return painter.fontMetrics().horizontalAdvance(t) + 2 * pad <= cell.width();
    };
    const auto left =
        std::size_t(chunk) < m_facts.secondsLeft.size() ? m_facts.secondsLeft[std::size_t(chunk)] : 0;
    if (isMaking(chunk)) {
        for (const QString& t :
             {tr("%1 preview, %2 left").arg(chunk + 1).arg(clock(left)), tr("%1 preview").arg(chunk + 1)})
            if (fits(t)) {
                text = t;
                break;
            }
    } else if (c.given && fits(tr("%1 kept").arg(chunk + 1))) {
        text = tr("%1 kept").arg(chunk + 1);
    }
    const double width = painter.fontMetrics().horizontalAdvance(text) + 2 * pad;
    const QRectF plate(cell.left(), cell.top(), std::min(width, cell.width()), m_theme.px(16));
    painter.fillRect(plate, m_theme.colour(Role::Window));
    painter.setPen(m_theme.colour(Role::Text));
    painter.drawText(plate, Qt::AlignCenter, text);
}

void ChunkTimelineView::paintCache(QPainter& painter, const TimelineLayout& at, int chunk) {
    const QRectF row = at.chunk(scene(), chunk, at.cache);
    painter.setPen(Qt::NoPen);
    painter.fillRect(QRectF(row.left(), row.bottom(), row.width(), 1), m_theme.colour(Role::Line));
    if (scene().chunks[std::size_t(chunk)].given) {
        painter.setFont(m_theme.font(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text3));
        painter.drawText(row, Qt::AlignCenter, tr("kept"));
        return;
    }
    const double tick = row.width() / std::max(1, scene().steps);
    const double space = tick >= 4 ? 1 : 0;
    for (int step = 0; step < scene().steps; ++step) {
        const double left = std::round(row.left() + tick * step),
                     right = std::round(row.left() + tick * (step + 1));
        const QRectF cell(left, row.top(), std::max(1.0, right - left - space), row.height());
        switch (const CacheState state = scene().cell(chunk, step).state) {
        case CacheState::Reused: { // low
            const double low = m_theme.px(3);
            painter.fillRect(QRectF(cell.left(), cell.bottom() - low, cell.width(), low),
                             m_theme.colour(Role::Reused));
            break;
        }
        case CacheState::NotRun:
            if (step % 3 == 0)
                painter.fillRect(QRectF(cell.left(), cell.bottom() - 2, 1, 1), m_theme.colour(Role::Outline));
            break;
        case CacheState::Computed:
        case CacheState::Forced:
            paintCacheState(painter, cell, state, m_theme);
        }
    }
}

void ChunkTimelineView::paintMemory(QPainter& painter, const TimelineLayout& at, int chunk) {
    const QRectF bar = at.chunk(scene(), chunk, at.memory);
    paintKeptShare(painter, bar, scene(), chunk, m_theme);
}

void ChunkTimelineView::paintDrift(QPainter& painter, const TimelineLayout& at) {
    const auto& drift = m_facts.frameDrift;
    painter.fillRect(QRectF(at.drift.left(), at.drift.bottom(), at.drift.width(), 1),
                     m_theme.colour(Role::Line));
    if (drift.size() < 2)
        return;
    painter.save();
    painter.setClipRect(at.drift.adjusted(0, -1, 0, 2));
    painter.setRenderHint(QPainter::Antialiasing, true);
    const auto line = [&](auto value) {
        QPolygonF points;
        for (std::size_t f = 0; f < drift.size(); ++f)
            points << QPointF(at.frameX(int(f)) + at.frameWidth / 2,
                              at.drift.bottom() - std::clamp(value(drift[f]), 0.0, 1.0) * at.drift.height());
        painter.drawPolyline(points);
    };
    painter.setPen(QPen(m_theme.colour(Role::Text), 1.5));
    line([](const Drift& d) { return d.colour / kColourLimit; });
    QPen dashed(m_theme.colour(Role::Text2), 1.5, Qt::CustomDashLine);
    dashed.setDashPattern({2, 2});
    painter.setPen(dashed);
    line([](const Drift& d) { return std::abs(1 - d.sharpness); });
    painter.restore();
}

void ChunkTimelineView::paintGutters(QPainter& painter, const TimelineLayout& at) {
    painter.setFont(m_theme.font(TextStyle::Label));
    painter.setPen(m_theme.colour(Role::Text));
    const auto name = [&](const QRectF& row, const QString& text) {
        const double h = painter.fontMetrics().height();
        painter.drawText(QRectF(m_theme.px(8), row.center().y() - h / 2, at.film.left() - m_theme.px(8), h),
                         Qt::AlignLeft | Qt::AlignVCenter, text);
    };
    name(at.film, tr("Chunks"));
    name(at.cache, tr("Cache"));
    name(at.memory, tr("KV memory"));
    if (!m_folded)
        name(at.drift, tr("Drift"));

    const double left = at.film.right() + m_theme.px(10), width = m_theme.px(kTotals - 10);
    const auto total = [&](const QRectF& row, const QString& figure, const QString& word) {
        painter.setFont(m_theme.monoFont(TextStyle::Label));
        const double h = painter.fontMetrics().height();
        painter.setPen(m_theme.colour(Role::Text));
        const double top = word.isEmpty() ? row.center().y() - h / 2 : row.center().y() - h;
        painter.drawText(QRectF(left, top, width, h), Qt::AlignLeft | Qt::AlignVCenter, figure);
        painter.setFont(m_theme.font(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(left, top + h, width, h), Qt::AlignLeft | Qt::AlignVCenter, word);
    };
    double seconds = 0;
    for (const double s : m_facts.secondsLeft)
        seconds += s;
    if (m_facts.isLive() && seconds > 0)
        total(at.film, clock(seconds), tr("left"));
    const auto& totals = scene().totals;
    if (totals.computed + totals.reused > 0)
        total(at.cache, tr("%1 %").arg(std::lround(totals.hitRate() * 100)), tr("reused"));
    if (!scene().memory.empty())
        total(at.memory, bytesText(scene().memory.back().bytes), {});
    if (!m_folded && m_facts.chunkDrift.size() > 1) {
        const Drift& last = m_facts.chunkDrift.back();
        painter.setFont(m_theme.monoFont(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text2));
        const double h = painter.fontMetrics().height();
        painter.drawText(QRectF(left, at.drift.center().y() - h, width, h), Qt::AlignLeft,
                         tr("%1 colour").arg(QLocale().toString(last.colour, 'f', 1)));
        painter.drawText(QRectF(left, at.drift.center().y(), width, h), Qt::AlignLeft,
                         tr("%1 % sharp").arg(std::lround(last.sharpness * 100)));
    }
}

void ChunkTimelineView::paintPlayhead(QPainter& painter, const TimelineLayout& at) {
    const int frame = m_selection->frame();
    if (frame < 0 || frame >= scene().frames())
        return;
    const double bottom = m_folded ? at.memory.bottom() : at.drift.bottom();
    paintPlayheadAt(painter, std::round(at.frameX(frame) + at.frameWidth / 2),
                    at.ruler.bottom() - 2 * m_theme.scale(), bottom, m_theme);
}

int ChunkTimelineView::frameAt(const QPointF& point) const {
    if (scene().isEmpty())
        return -1;
    const TimelineLayout at = layoutNow();
    const int frame = int(std::floor((point.x() - at.film.left()) / at.frameWidth));
    return frame >= 0 && frame < scene().frames() ? frame : -1;
}

void ChunkTimelineView::mousePressEvent(QMouseEvent* event) {
    const int frame = frameAt(event->position());
    if (frame < 0)
        return;
    m_selection->select(scene().chunkAt(frame), m_selection->step());
    if (event->button() == Qt::LeftButton)
        Q_EMIT m_selection->seekRequested(frame);
}

void ChunkTimelineView::mouseMoveEvent(QMouseEvent* event) {
    const int frame = frameAt(event->position());
    if (event->buttons() & Qt::LeftButton && frame >= 0)
        Q_EMIT m_selection->seekRequested(frame);
    Q_EMIT m_selection->hovered(frame >= 0 ? chunkWords(scene().chunkAt(frame)) : QString());
}

bool ChunkTimelineView::event(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        auto* help = static_cast<QHelpEvent*>(event);
        const int frame = frameAt(help->pos());
        if (frame < 0)
            QToolTip::hideText();
        else
            QToolTip::showText(help->globalPos(), chunkWords(scene().chunkAt(frame)), this);
        return true;
    }
    return CacheView::event(event);
}

void ChunkTimelineView::keyPressEvent(QKeyEvent* event) {
    // Rows are no steps here: up and down are left to whoever scrolls.
    if (event->key() == Qt::Key_Up || event->key() == Qt::Key_Down)
        return QWidget::keyPressEvent(event);
    const int before = m_selection->chunk();
    CacheView::keyPressEvent(event);
    if (m_selection->chunk() == before || scene().isEmpty())
        return;
    Q_EMIT m_selection->seekRequested(scene().chunks[std::size_t(m_selection->chunk())].firstFrame);
    Q_EMIT m_selection->hovered(chunkWords(m_selection->chunk()));
}

void ChunkTimelineView::contextMenuEvent(QContextMenuEvent* event) {
    if (scene().isEmpty())
        return;
    int chunk = m_selection->chunk();
    QPoint at = event->globalPos();
    if (event->reason() == QContextMenuEvent::Keyboard) {
        at = mapToGlobal(layoutNow().chunk(scene(), chunk, layoutNow().film).center().toPoint());
    } else {
        const int frame = frameAt(event->pos());
        if (frame < 0)
            return;
        chunk = scene().chunkAt(frame);
    }
    m_selection->select(chunk, m_selection->step());
    Q_EMIT menuRequested(chunk, at);
}

} // namespace canopy::ui
