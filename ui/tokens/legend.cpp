#include "ui/tokens/legend.h"

#include <array>

#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kMark = 15; ///< width of a mark, pixels at scale 1
constexpr int kItems = 5;

QString word(int item) {
    const std::array<QString, kItems> words = {TokenLegend::tr("root"), TokenLegend::tr("trunk"),
                                               TokenLegend::tr("leaf"), TokenLegend::tr("pruned"),
                                               TokenLegend::tr("not a candidate")};
    return words[std::size_t(item)];
}

} // namespace

TokenLegend::TokenLegend(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("tokenLegend"));
    QStringList words;
    for (int i = 0; i < kItems; ++i)
        words << word(i);
    setAccessibleName(tr("Legend: %1").arg(words.join(QStringLiteral(", "))));
    setToolTip(
        tr("Colour and row name the tree. Root: thick border and filled corner. Trunk: border. Leaf: corner "
           "marks. Pruned: dimmed. Not a candidate: dimmed and hatched."));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
}

void TokenLegend::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize TokenLegend::sizeHint() const {
    const QFontMetrics metrics(m_theme.font(TextStyle::Caption));
    int width = 0;
    for (int i = 0; i < kItems; ++i)
        width += m_theme.px(kMark + 6 + 12) + metrics.horizontalAdvance(word(i));
    return {width, m_theme.px(20)};
}

QSize TokenLegend::minimumSizeHint() const {
    return {0, m_theme.px(20)};
}

void TokenLegend::drawMark(QPainter& painter, int item, const QRectF& box) const {
    const QColor colour = m_theme.colour(Role::Text);
    const double u = m_theme.scale();
    const auto frame = [&](double w) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colour, w, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
        painter.drawRect(box.adjusted(w / 2, w / 2, -w / 2, -w / 2));
    };
    switch (item) {
    case 0:
        frame(3 * u);
        painter.fillRect(QRectF(box.topLeft(), box.size() / 2), colour);
        return;
    case 1:
        return frame(2 * u);
    case 2: {
        painter.setPen(QPen(colour, 2 * u, Qt::SolidLine, Qt::SquareCap));
        const double x = box.width() * 0.3, y = box.height() * 0.3;
        const QRectF r = box.adjusted(u, u, -u, -u);
        for (const auto& [corner, sx, sy] :
             {std::tuple{r.topLeft(), 1, 1}, std::tuple{r.topRight(), -1, 1},
              std::tuple{r.bottomLeft(), 1, -1}, std::tuple{r.bottomRight(), -1, -1}}) {
            painter.drawLine(corner, corner + QPointF(sx * x, 0));
            painter.drawLine(corner, corner + QPointF(0, sy * y));
        }
        return;
    }
    case 3:
        return painter.fillRect(box, m_theme.colour(Role::Hover));
    default:
        painter.fillRect(box, m_theme.colour(Role::Hover));
        painter.save();
        painter.setClipRect(box);
        painter.setPen(QPen(m_theme.colour(Role::Text3), u));
        for (double d = 0; d < box.width() + box.height(); d += 4 * u)
            painter.drawLine(QPointF(box.left() + d, box.top()),
                             QPointF(box.left() + d - box.height(), box.bottom()));
        painter.restore();
    }
}

void TokenLegend::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setFont(m_theme.font(TextStyle::Caption));
    double x = 0;
    for (int i = 0; i < kItems; ++i) {
        const double text = painter.fontMetrics().horizontalAdvance(word(i));
        const double all = m_theme.px(kMark + 6) + text;
        if (x + all > width())
            return; // the tooltip says the rest
        const double h = m_theme.px(11);
        drawMark(painter, i, QRectF(x, (height() - h) / 2, m_theme.px(kMark), h));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(x + m_theme.px(kMark + 6), 0, text + 2, height()), Qt::AlignVCenter, word(i));
        x += all + m_theme.px(12);
    }
}

} // namespace canopy::ui
