#include "ui/attention/drift_view.h"

#include <algorithm>
#include <cmath>

#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kLeft = 44, kRight = 76, kTop = 8, kBottom = 20; ///< pixels at scale 1

QString number(double value) {
    return QLocale().toString(value, 'g', 3);
}

/// The next round number whose half is round, too.
double roundUp(double value) {
    const double power = std::pow(10, std::floor(std::log10(value)));
    for (const double m : {1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0})
        if (m * power >= value * (1 - 1e-9))
            return m * power;
    return 10 * power;
}

} // namespace

DriftView::DriftView(AttentionSelection* selection, QWidget* parent)
    : AttentionView(selection, tr("Drift of the chosen head over the steps"), "driftView", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
}

QSize DriftView::sizeHint() const {
    return {m_theme.px(520), m_theme.px(150)};
}

QSize DriftView::minimumSizeHint() const {
    return {m_theme.px(240), m_theme.px(96)};
}

QRectF DriftView::area() const {
    return QRectF(rect()).adjusted(m_theme.px(kLeft), m_theme.px(kTop), -m_theme.px(kRight),
                                   -m_theme.px(kBottom));
}

double DriftView::xOf(double step) const {
    const QRectF all = area();
    return all.left() + all.width() * step / std::max(1, m_selection->steps() - 1);
}

int DriftView::stepAt(double x) const {
    const QRectF all = area();
    return std::clamp(
        int(std::lround((x - all.left()) / all.width() * std::max(1, m_selection->steps() - 1))), 0,
        m_selection->newestStep());
}

double DriftView::delta() const {
    const auto& request = m_selection->run().request;
    return request && request->attention.reuse == MaskReuse::Tmr ? request->attention.delta : 0;
}

double DriftView::greatest() const {
    double most = delta() * 1.15;
    AttentionCell cell = m_selection->cell();
    for (cell.step = 0; cell.step <= m_selection->newestStep(); ++cell.step)
        if (const auto* head = m_selection->headOf(cell))
            most = std::max(most, head->drift * 1.05);
    return most > 0 ? roundUp(most) : 1;
}

QString DriftView::wordsAt(int step) const {
    AttentionCell cell = m_selection->cell();
    cell.step = step;
    const auto* head = m_selection->headOf(cell);
    if (!head)
        return m_selection->words(cell);
    return tr("%1, drift %2 (%3 of the norm)")
        .arg(m_selection->words(cell), number(head->drift), percent(head->relativeDrift));
}

void DriftView::describe() {
    setAccessibleDescription(m_selection->isEmpty() ? QString() : wordsAt(m_selection->cell().step));
}

void DriftView::paintAxes(QPainter& painter, const QRectF& all, double top) const {
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    for (const double share : {0.0, 0.5, 1.0}) {
        const double y = std::round(all.bottom() - share * all.height());
        painter.fillRect(QRectF(all.left(), y, all.width(), 1), m_theme.colour(Role::Line));
        painter.setPen(m_theme.colour(Role::Text3));
        painter.drawText(QRectF(0, y - m_theme.px(8), m_theme.px(kLeft - 8), m_theme.px(16)),
                         Qt::AlignRight | Qt::AlignVCenter, number(share * top));
    }
    const int steps = m_selection->steps();
    int every = 5;
    while (steps > 1 && every * all.width() / (steps - 1) < m_theme.px(34))
        every *= 2;
    for (int s = 0; s < steps; ++s) {
        const bool last = s == steps - 1;
        if (s % every != 0 && !last)
            continue;
        if (!last && steps - 1 - s < every / 2 + 1)
            continue;
        painter.drawText(QRectF(xOf(s) - m_theme.px(20), all.bottom() + m_theme.px(4), m_theme.px(40),
                                m_theme.px(kBottom - 4)),
                         Qt::AlignHCenter | Qt::AlignTop, QString::number(s));
    }
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.drawText(QRectF(all.right() + m_theme.px(14), all.bottom() + m_theme.px(4), m_theme.px(kRight),
                            m_theme.px(kBottom - 4)),
                     Qt::AlignLeft | Qt::AlignTop, tr("step"));
    const double line = delta();
    if (line <= 0)
        return;
    const double y = all.bottom() - line / top * all.height();
    painter.setPen(QPen(m_theme.colour(Role::Warning), 1.5 * m_theme.scale(), Qt::DashLine));
    painter.drawLine(QPointF(all.left(), y), QPointF(all.right(), y));
    painter.setPen(m_theme.colour(Role::Text));
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.drawText(
        QRectF(all.right() + m_theme.px(8), y - m_theme.px(8), m_theme.px(kRight - 8), m_theme.px(16)),
        Qt::AlignLeft | Qt::AlignVCenter, tr("δ %1").arg(number(line)));
}

void DriftView::paintCurve(QPainter& painter, const QRectF& all, double top) const {
    painter.setRenderHint(QPainter::Antialiasing);
    const QColor colour = m_theme.colour(Role::Computed);
    const double u = m_theme.scale();
    const auto yOf = [&](double drift) { return all.bottom() - drift / top * all.height(); };
    AttentionCell cell = m_selection->cell();
    std::optional<QPointF> before;
    for (cell.step = 0; cell.step <= m_selection->newestStep(); ++cell.step) {
        const HeadState state = m_selection->stateOf(cell);
        const double x = xOf(cell.step);
        if (state == HeadState::Dense) {
            painter.setPen(QPen(m_theme.colour(Role::Text), u));
            painter.setBrush(m_theme.colour(Role::Panel));
            painter.drawRect(QRectF(x - 3 * u, all.bottom() - 3 * u, 6 * u, 6 * u));
        }
        const auto* head = m_selection->headOf(cell);
        if (!head) {
            before.reset();
            continue;
        }
        const QPointF at(x, yOf(head->drift));
        if (before) {
            painter.setPen(QPen(colour, 2 * u));
            painter.drawLine(*before, at);
        }
        const bool anew = head->reason != RefreshReason::Reused;
        if (anew && head->drift > 0) { // the new choice begins at no drift
            painter.setPen(QPen(m_theme.colour(Role::Text3), u, Qt::DotLine));
            painter.drawLine(at, QPointF(x, all.bottom()));
        }
        painter.setPen(Qt::NoPen);
        painter.setBrush(anew ? m_theme.colour(Role::Text) : colour);
        painter.drawEllipse(at, (anew ? 4 : 3) * u, (anew ? 4 : 3) * u);
        before = anew ? QPointF(x, all.bottom()) : at;
    }
}

void DriftView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (m_selection->isEmpty())
        return paintHint(painter, tr("How far queries and keys have moved since the mask was chosen."));
    const auto& request = m_selection->run().request;
    if (request && request->attention.reuse != MaskReuse::Tmr)
        return paintHint(painter, tr("Drift is measured with reuse by drift (--reuse tmr). This clip used "
                                     "another rule."));
    const QRectF all = area();
    const double top = greatest();
    paintAxes(painter, all, top);
    const int now = m_selection->cell().step;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(std::round(xOf(now)), all.top(), std::max(1.0, m_theme.scale()), all.height()),
                     m_theme.colour(Role::Playhead));
    paintCurve(painter, all, top);
    if (const auto* head = m_selection->headOf(m_selection->cell())) {
        const double y = std::clamp(all.bottom() - head->drift / top * all.height(),
                                    all.top() + m_theme.px(8), all.bottom() - m_theme.px(8));
        const double line = all.bottom() - delta() / top * all.height();
        const double clear = std::abs(y - line) < m_theme.px(14) ? line + m_theme.px(14) : y;
        painter.setFont(m_theme.monoFont(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Computed));
        painter.drawText(QRectF(all.right() + m_theme.px(8), clear - m_theme.px(8), m_theme.px(kRight - 8),
                                m_theme.px(16)),
                         Qt::AlignLeft | Qt::AlignVCenter, number(head->drift));
    }
    focusRing(painter);
}

void DriftView::mousePressEvent(QMouseEvent* event) {
    if (!m_selection->isEmpty())
        m_selection->setStep(stepAt(event->position().x()));
}

void DriftView::mouseMoveEvent(QMouseEvent* event) {
    Q_EMIT hovered(m_selection->isEmpty() ? QString() : wordsAt(stepAt(event->position().x())));
}

void DriftView::keyPressEvent(QKeyEvent* event) {
    const int step = m_selection->cell().step;
    switch (event->key()) {
    case Qt::Key_Left:
        return m_selection->setStep(step - 1);
    case Qt::Key_Right:
        return m_selection->setStep(step + 1);
    case Qt::Key_Home:
        return m_selection->setStep(0);
    case Qt::Key_End:
        return m_selection->follow();
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace canopy::ui
