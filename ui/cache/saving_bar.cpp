#include "ui/cache/saving_bar.h"

#include <cmath>

#include <QLocale>
#include <QPainter>

#include "ui/cache/cache_painter.h"

namespace canopy::ui {

SavingBar::SavingBar(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("savingBar"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void SavingBar::setParts(std::vector<Part> parts) {
    m_parts = std::move(parts);
    QStringList words;
    for (const auto& part : m_parts)
        words << tr("%1 %2 s").arg(part.name, QLocale().toString(part.seconds, 'f', 2));
    setAccessibleName(words.join(QStringLiteral(", ")));
    setToolTip(words.join(u'\n'));
    update();
}

void SavingBar::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize SavingBar::sizeHint() const {
    return {m_theme.px(300), m_theme.px(30)};
}

void SavingBar::paintForm(QPainter& painter, const QRectF& area, Form form, const Theme& theme) {
    painter.setBrush(Qt::NoBrush);
    switch (form) {
    case Form::Measured:
        return painter.fillRect(area, theme.colour(Role::Text2));
    case Form::Reuse:
        paintHatch(painter, area, Role::Text3, theme);
        break;
    case Form::Squeeze:
        paintCompressed(painter, area, theme);
        break;
    }
    painter.setPen(QPen(theme.colour(Role::Outline), 1));
    painter.drawRect(area.adjusted(0, 0, -1, -1));
}

void SavingBar::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    double all = 0;
    for (const auto& part : m_parts)
        all += std::max(0.0, part.seconds);
    if (all <= 0)
        return;
    double sum = 0;
    for (const auto& part : m_parts) {
        const double left = std::round(width() * sum / all);
        sum += std::max(0.0, part.seconds);
        const QRectF area(left, 0, std::round(width() * sum / all) - left, height());
        if (area.width() < 1)
            continue;
        paintForm(painter, area, part.form, m_theme);
        if (part.form != Form::Measured)
            continue;
        painter.setFont(m_theme.monoFont(TextStyle::Label));
        const QString text = tr("%1 s measured").arg(QLocale().toString(part.seconds, 'f', 1));
        if (painter.fontMetrics().horizontalAdvance(text) + m_theme.px(16) > area.width())
            continue;
        painter.setPen(m_theme.colour(Role::Panel));
        painter.drawText(area.adjusted(m_theme.px(8), 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, text);
    }
}

SavingMark::SavingMark(SavingBar::Form form, QWidget* parent)
    : QWidget(parent)
    , m_form(form) {
    dresser::setFixedWidth(this, 14);
    dresser::setFixedHeight(this, 14);
}

void SavingMark::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    update();
}

void SavingMark::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    SavingBar::paintForm(painter, QRectF(rect()).adjusted(1, 1, -1, -1), m_form, m_theme);
}

} // namespace canopy::ui
