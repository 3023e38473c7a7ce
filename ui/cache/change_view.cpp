#include "ui/cache/change_view.h"

#include <cmath>

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include "ui/cache/cache_painter.h"

namespace canopy::ui {
namespace {

constexpr int kGutter = 52; ///< pixels at scale 1, as the map's
constexpr int kRight = 84;

double stepX(const QRectF& area, int steps, int step) {
    return area.left() + area.width() * (step + 0.5) / std::max(1, steps);
}

} // namespace

ChangeView::ChangeView(CacheSelection* selection, QWidget* parent)
    : CacheView(selection, tr("Accumulated change of the chosen chunk against the threshold"), "changeView",
                parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
}

QSize ChangeView::sizeHint() const {
    return {m_theme.px(720), m_theme.px(170)};
}

QSize ChangeView::minimumSizeHint() const {
    return {m_theme.px(280), m_theme.px(120)};
}

QRectF ChangeView::area() const {
    const double left = m_theme.px(kGutter), right = m_theme.px(kRight);
    return {left, double(m_theme.px(10)), std::max(1.0, width() - left - right),
            double(height() - m_theme.px(10 + 24))};
}

double ChangeView::top() const {
    double most = scene().threshold;
    for (int c = 0; c < scene().chunkCount(); ++c)
        for (int s = 0; s < scene().steps; ++s)
            most = std::max(most, scene().cell(c, s).reached());
    return most > 0 ? most * 1.12 : 1;
}

int ChangeView::stepAt(double x) const {
    const QRectF a = area();
    const int step = int(std::floor((x - a.left()) / a.width() * scene().steps));
    return step >= 0 && step < scene().steps ? step : -1;
}

void ChangeView::paintAxes(QPainter& painter, const QRectF& a, double most) {
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const double h = painter.fontMetrics().height();
    const auto y = [&](double value) { return std::round(a.bottom() - a.height() * value / most); };
    const auto number = [](double value) { return QLocale().toString(value, 'f', 3); };
    painter.setPen(m_theme.colour(Role::Text2));
    painter.fillRect(QRectF(a.left(), a.bottom(), a.width(), 1), m_theme.colour(Role::Outline));
    painter.drawText(QRectF(0, a.bottom() - h / 2, a.left() - m_theme.px(6), h), Qt::AlignRight, number(0));
    const double half = (scene().threshold > 0 ? scene().threshold : most / 1.12) / 2;
    painter.fillRect(QRectF(a.left(), y(half), a.width(), 1), m_theme.colour(Role::Line));
    painter.drawText(QRectF(0, y(half) - h / 2, a.left() - m_theme.px(6), h), Qt::AlignRight, number(half));
    if (scene().threshold > 0) {
        painter.drawText(QRectF(0, y(scene().threshold) - h / 2, a.left() - m_theme.px(6), h), Qt::AlignRight,
                         number(scene().threshold));
        painter.setPen(QPen(m_theme.colour(Role::Forced), 1, Qt::DashLine));
        painter.drawLine(QPointF(a.left(), y(scene().threshold)), QPointF(a.right(), y(scene().threshold)));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(
            QRectF(a.right() + m_theme.px(8), y(scene().threshold) - h / 2, m_theme.px(kRight), h),
            Qt::AlignLeft, tr("threshold"));
    }
    const double widest = painter.fontMetrics().horizontalAdvance(QStringLiteral("888"));
    int every = 1;
    for (const int candidate : {1, 2, 5, 10, 20, 50, 100}) {
        every = candidate;
        if (a.width() / std::max(1, scene().steps) * every > widest + m_theme.px(12))
            break;
    }
    painter.setPen(m_theme.colour(Role::Text2));
    for (int step = 0; step < scene().steps; step += every)
        painter.drawText(
            QRectF(stepX(a, scene().steps, step) - widest, a.bottom() + m_theme.px(6), 2 * widest, h),
            Qt::AlignHCenter, QString::number(step));
    painter.drawText(QRectF(a.right() + m_theme.px(8), a.bottom() + m_theme.px(6), m_theme.px(kRight), h),
                     Qt::AlignLeft, tr("step"));
}

void ChangeView::paintBars(QPainter& painter, const QRectF& a, double most) {
    const double bar = std::max(1.0, a.width() / std::max(1, scene().steps) * 0.4);
    for (int step = 0; step < scene().steps; ++step) {
        const auto& cell = scene().cell(m_selection->chunk(), step);
        if (!cell.change || cell.state == CacheState::NotRun)
            continue;
        const double height = a.height() * std::max(0.0, *cell.change) / most;
        painter.fillRect(QRectF(stepX(a, scene().steps, step) - bar / 2, a.bottom() - height, bar, height),
                         m_theme.colour(Role::Hover));
    }
}

void ChangeView::paintLine(QPainter& painter, const QRectF& a, double most) {
    const int chunk = m_selection->chunk();
    const auto point = [&](int step, double value) {
        return QPointF(stepX(a, scene().steps, step), a.bottom() - a.height() * value / most);
    };
    const double u = m_theme.scale();
    painter.setRenderHint(QPainter::Antialiasing, true);
    std::optional<QPointF> before;
    for (int step = 0; step < scene().steps; ++step) {
        const auto& cell = scene().cell(chunk, step);
        if (cell.state == CacheState::NotRun) {
            before.reset();
            continue;
        }
        const QPointF at = point(step, cell.change ? cell.reached() : 0);
        if (before) {
            painter.setPen(QPen(m_theme.colour(Role::SeriesB), 1.6 * u));
            painter.drawLine(*before, at);
        }
        if (cell.state != CacheState::Reused && cell.change && cell.reached() > 0) {
            painter.setPen(QPen(m_theme.colour(Role::Text3), 1, Qt::DashLine));
            painter.drawLine(at, point(step, cell.after));
        }
        before = point(step, cell.after);
    }
    for (int step = 0; step < scene().steps; ++step) {
        const auto& cell = scene().cell(chunk, step);
        if (cell.state == CacheState::NotRun)
            continue;
        const QPointF at = point(step, cell.change ? cell.reached() : 0);
        if (cell.state == CacheState::Forced) {
            painter.setPen(QPen(m_theme.colour(Role::Text), 1.2 * u));
            painter.setBrush(m_theme.colour(Role::Panel));
            painter.drawRect(QRectF(at.x() - 3 * u, at.y() - 3 * u, 6 * u, 6 * u));
        } else {
            painter.setPen(Qt::NoPen);
            const bool computed = cell.state == CacheState::Computed;
            painter.setBrush(m_theme.colour(computed ? Role::Playhead : Role::SeriesB));
            painter.drawEllipse(at, (computed ? 3.5 : 2.5) * u, (computed ? 3.5 : 2.5) * u);
        }
    }
    painter.setRenderHint(QPainter::Antialiasing, false);
}

void ChangeView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    bool any = false;
    for (const auto& cell : scene().cells)
        any = any || cell.change.has_value();
    if (scene().isEmpty() || !any) {
        paintSentence(painter, rect(),
                      scene().isEmpty() ? QString()
                                        : tr("This policy looks at no change: every step is decided without "
                                             "one."));
        return focusRing(painter);
    }
    const QRectF a = area();
    const double most = top();
    paintAxes(painter, a, most);
    paintBars(painter, a, most);
    const double x = std::round(stepX(a, scene().steps, m_selection->step()));
    painter.fillRect(QRectF(x - 1, a.top(), 3, a.height()), m_theme.colour(Role::Casing));
    painter.fillRect(QRectF(x, a.top(), 1, a.height()), m_theme.colour(Role::Playhead));
    paintLine(painter, a, most);
    if (const CacheCell* cell = m_selection->cell(); cell && cell->change) {
        painter.setFont(m_theme.monoFont(TextStyle::Label));
        painter.setPen(m_theme.colour(Role::Text));
        const double h = painter.fontMetrics().height();
        double y = a.bottom() - a.height() * cell->reached() / most - h / 2;
        const double line = a.bottom() - a.height() * scene().threshold / most - h / 2;
        if (std::abs(y - line) < h) // not onto the word "threshold"
            y = y < line ? line - h : line + h;
        painter.drawText(QRectF(a.right() + m_theme.px(8), y, m_theme.px(kRight), h), Qt::AlignLeft,
                         QLocale().toString(cell->reached(), 'f', 4));
    }
    focusRing(painter);
}

void ChangeView::mousePressEvent(QMouseEvent* event) {
    if (const int step = stepAt(event->position().x()); step >= 0)
        m_selection->select(m_selection->chunk(), step);
}

void ChangeView::mouseMoveEvent(QMouseEvent* event) {
    const int step = scene().isEmpty() ? -1 : stepAt(event->position().x());
    Q_EMIT m_selection->hovered(step >= 0 ? m_selection->words(m_selection->chunk(), step) : QString());
}

} // namespace canopy::ui
