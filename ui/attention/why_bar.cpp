#include "ui/attention/why_bar.h"

#include <algorithm>

#include <QLocale>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kHeight = 32, kMark = 12; ///< pixels at scale 1

QString seconds(double value) {
    return WhyBar::tr("%1 s").arg(QLocale().toString(value, 'f', 1));
}

} // namespace

WhyBar::WhyBar(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("whyBar"));
    setAccessibleName(tr("Measured time and what was saved"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void WhyBar::setAccount(const AttentionAccount& account) {
    m_account = account;
    setAccessibleDescription(account.dense
                                 ? tr("%1 measured of %2 that dense attention would take")
                                       .arg(seconds(account.measured), seconds(account.dense->denseSeconds))
                                 : QString());
    setToolTip(accessibleDescription());
    update();
}

void WhyBar::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize WhyBar::sizeHint() const {
    return {m_theme.px(400), m_theme.px(kHeight)};
}

QSize WhyBar::minimumSizeHint() const {
    return {m_theme.px(160), m_theme.px(kHeight)};
}

void WhyBar::paintPart(QPainter& painter, const QRectF& box, TimePart part, const Theme& theme) {
    painter.save();
    painter.setClipRect(box);
    const double u = theme.scale();
    switch (part) {
    case TimePart::Measured:
        painter.fillRect(box, theme.colour(Role::Text2));
        break;
    case TimePart::Choosing:
    case TimePart::Rest: {
        painter.fillRect(box, theme.colour(Role::Raised));
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(theme.colour(part == TimePart::Rest ? Role::Outline : Role::Forced), 1.5 * u));
        for (double d = 0; d < box.width() + box.height(); d += 6 * u)
            painter.drawLine(QPointF(box.left() + d, box.top()),
                             QPointF(box.left() + d - box.height(), box.bottom()));
        break;
    }
    case TimePart::Skipped:
        painter.fillRect(box, theme.colour(Role::Raised));
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(Qt::NoPen);
        painter.setBrush(theme.colour(Role::Computed));
        for (double y = box.top() + 3 * u; y < box.bottom(); y += 5 * u)
            for (double x = box.left() + 3 * u; x < box.right(); x += 5 * u)
                painter.drawEllipse(QPointF(x, y), 1.2 * u, 1.2 * u);
        break;
    }
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setPen(QPen(theme.colour(Role::Outline), 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(box.adjusted(0, 0, -1, -1));
    painter.restore();
}

void WhyBar::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    const QRectF all(0, 0, width(), height());
    if (!m_account.dense) {
        painter.fillRect(all, m_theme.colour(Role::Raised));
        return;
    }
    const double measured = m_account.measured, dense = m_account.dense->denseSeconds;
    const double scale = all.width() / std::max(measured, dense);
    // Choosing is part of what was measured.
    const double choosing = std::min(m_account.dense->choosing, measured);
    const QRectF solid(0, 0, (measured - choosing) * scale, all.height());
    const QRectF chosen(solid.right(), 0, choosing * scale, all.height());
    paintPart(painter, solid, TimePart::Measured, m_theme);
    if (chosen.width() >= 1)
        paintPart(painter, chosen, TimePart::Choosing, m_theme);
    if (dense > measured)
        paintPart(painter, QRectF(chosen.right(), 0, (dense - measured) * scale, all.height()),
                  TimePart::Skipped, m_theme);
    painter.setFont(m_theme.monoFont(TextStyle::Label));
    painter.setPen(m_theme.colour(Role::Panel));
    const QString text = tr("%1 measured").arg(seconds(measured));
    if (solid.width() > painter.fontMetrics().horizontalAdvance(text) + m_theme.px(16))
        painter.drawText(solid.adjusted(m_theme.px(8), 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, text);
}

TimeMark::TimeMark(TimePart part, QWidget* parent)
    : QWidget(parent)
    , m_part(part) {
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void TimeMark::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize TimeMark::sizeHint() const {
    return {m_theme.px(kMark), m_theme.px(kMark)};
}

void TimeMark::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    WhyBar::paintPart(painter, QRectF(rect()), m_part, m_theme);
}

} // namespace canopy::ui
