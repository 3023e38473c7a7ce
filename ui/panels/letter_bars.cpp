#include "ui/panels/letter_bars.h"

#include <algorithm>

#include <QLocale>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kRowHeight = 20; ///< pixels at scale 1

} // namespace

LetterBars::LetterBars(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("letterBars"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void LetterBars::setValues(const std::vector<std::string>& options,
                           const std::vector<double>& probabilities) {
    m_rows.clear();
    for (std::size_t i = 0; i < std::min(options.size(), probabilities.size()); ++i)
        m_rows.push_back(
            {QStringLiteral("%1. %2").arg(QChar(u'A' + int(i))).arg(QString::fromStdString(options[i])),
             probabilities[i]});
    std::stable_sort(m_rows.begin(), m_rows.end(),
                     [](const Row& a, const Row& b) { return a.probability > b.probability; });
    QStringList words;
    for (const auto& row : m_rows)
        words << QStringLiteral("%1: %2").arg(row.name, QLocale().toString(row.probability, 'f', 2));
    setAccessibleName(tr("Probability of each option: %1").arg(words.join(QStringLiteral(", "))));
    setToolTip(words.join(u'\n'));
    setVisible(!m_rows.empty());
    updateGeometry();
    update();
}

void LetterBars::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize LetterBars::sizeHint() const {
    return {m_theme.px(160), m_theme.px(kRowHeight) * int(m_rows.size())};
}

QSize LetterBars::minimumSizeHint() const {
    return {m_theme.px(100), sizeHint().height()};
}

void LetterBars::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    const double rowHeight = m_theme.px(kRowHeight), figures = m_theme.px(40);
    const double names = std::min(width() * 0.4, double(m_theme.px(140)));
    const QFont font = m_theme.font(TextStyle::Label), mono = m_theme.monoFont(TextStyle::Label);
    for (std::size_t i = 0; i < m_rows.size(); ++i) {
        const QRectF row(0, rowHeight * double(i), width(), rowHeight);
        painter.setFont(font);
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(0, row.top(), names, rowHeight), Qt::AlignVCenter | Qt::AlignLeft,
                         painter.fontMetrics().elidedText(m_rows[i].name, Qt::ElideRight, int(names)));
        const QRectF bar(names + m_theme.px(4), row.center().y() - m_theme.px(3),
                         std::max(1.0, width() - names - figures - m_theme.px(8)), m_theme.px(6));
        painter.setPen(QPen(m_theme.colour(Role::Line), 1));
        painter.drawRect(bar);
        painter.fillRect(QRectF(bar.left(), bar.top(),
                                bar.width() * std::clamp(m_rows[i].probability, 0.0, 1.0), bar.height()),
                         m_theme.colour(i == 0 ? Role::Text : Role::Outline));
        painter.setFont(mono);
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(row, Qt::AlignRight | Qt::AlignVCenter,
                         QLocale().toString(m_rows[i].probability, 'f', 2));
    }
}

} // namespace canopy::ui
