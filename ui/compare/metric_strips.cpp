#include "ui/compare/metric_strips.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kLeftGutter = 92; ///< pixels at scale 1
constexpr int kRightGutter = 104;

QString number(double value, int decimals) {
    return std::isfinite(value) ? QLocale().toString(value, 'f', decimals) : QStringLiteral("∞");
}

double meanOf(const std::vector<double>& values) {
    return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

/// A scale whose ends are whole multiples of `step`.
std::pair<double, double> rounded(const std::vector<double>& values, double step, double least, double most) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const double v : values)
        if (std::isfinite(v)) {
            low = std::min(low, v);
            high = std::max(high, v);
        }
    if (low > high)
        return {least, most};
    low = std::max(least, std::floor(low / step - 1e-9) * step);
    high = std::min(most, std::ceil(high / step + 1e-9) * step);
    return {low, std::max(high, low + step)};
}

} // namespace

MetricStrips::MetricStrips(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("metricStrips"));
    setAccessibleName(tr("PSNR and SSIM of every frame"));
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void MetricStrips::setFigures(std::shared_ptr<const media::FileComparison> figures, const QString& words) {
    m_figures = std::move(figures);
    m_words = words;
    describe();
    update();
}

void MetricStrips::setFloor(const std::optional<NoiseFloor>& floor) {
    m_floor = floor;
    describe();
    update();
}

void MetricStrips::setFrames(int frames, double fps) {
    m_frames = frames;
    m_fps = fps;
    m_frame = std::clamp(m_frame, 0, std::max(0, frames - 1));
    update();
}

void MetricStrips::setFrame(int frame) {
    m_frame = frame;
    update();
}

void MetricStrips::setDifferences(std::map<int, QImage> pictures, int gain) {
    m_differences = std::move(pictures);
    m_gain = gain;
    update();
}

void MetricStrips::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize MetricStrips::sizeHint() const {
    return {m_theme.px(900), m_theme.px(184)};
}

QSize MetricStrips::minimumSizeHint() const {
    return {m_theme.px(360), m_theme.px(184)};
}

std::vector<int> MetricStrips::worstFrames() const {
    if (!m_figures)
        return {};
    const auto& psnr = m_figures->psnrFrames;
    std::vector<int> order(psnr.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return psnr[std::size_t(a)] < psnr[std::size_t(b)]; });
    const int apart = std::max(1, int(psnr.size()) / 10);
    std::vector<int> chosen;
    for (const int frame : order)
        if (std::isfinite(psnr[std::size_t(frame)]) &&
            std::all_of(chosen.begin(), chosen.end(), [&](int c) { return std::abs(c - frame) >= apart; }))
            chosen.push_back(frame);
    return chosen;
}

QString MetricStrips::wordsAt(int frame) const {
    if (!m_figures || frame < 0 || std::size_t(frame) >= m_figures->psnrFrames.size())
        return {};
    const double psnr = m_figures->psnrFrames[std::size_t(frame)];
    if (!std::isfinite(psnr))
        return tr("frame %1, identical").arg(frame);
    return tr("frame %1, PSNR %2 dB, SSIM %3")
        .arg(frame)
        .arg(number(psnr, 1), number(m_figures->ssimFrames[std::size_t(frame)], 3));
}

void MetricStrips::describe() {
    QString text = m_words;
    if (m_figures && m_figures->identical)
        text = tr("The clips are identical in every sample.");
    else if (m_figures)
        text = tr("PSNR mean %1 dB, worst %2 dB at frame %3. SSIM mean %4, worst %5 at frame %6.")
                   .arg(number(m_figures->psnr, 1), number(m_figures->psnrWorst, 1))
                   .arg(m_figures->psnrWorstFrame)
                   .arg(number(m_figures->ssim, 3), number(m_figures->ssimWorst, 3))
                   .arg(m_figures->ssimWorstFrame);
    if (m_floor)
        text += m_floor->identical ? tr(" Dense against dense: identical.")
                                   : tr(" Dense against dense: %1 dB.").arg(number(m_floor->psnr, 1));
    setAccessibleDescription(text);
}

double MetricStrips::left() const {
    return m_theme.px(kLeftGutter);
}

double MetricStrips::right() const {
    return width() - m_theme.px(kRightGutter);
}

double MetricStrips::xOf(double frame) const {
    return left() + (frame + 0.5) / std::max(1, m_frames) * (right() - left());
}

int MetricStrips::frameAt(double x) const {
    if (m_frames < 1 || right() <= left())
        return -1;
    return std::clamp(int((x - left()) / (right() - left()) * m_frames), 0, m_frames - 1);
}

MetricStrips::Rows MetricStrips::rows() const {
    const double x = left(), w = right() - left();
    const auto row = [&](int top, int height) { return QRectF(x, m_theme.px(top), w, m_theme.px(height)); };
    return {row(6, 42), row(54, 14), row(74, 32), row(122, 32), row(164, 16)};
}

void MetricStrips::paintPictures(QPainter& painter, const QRectF& row) const {
    painter.fillRect(row, m_theme.colour(Role::Surround));
    if (!m_differences.empty()) {
        const double slot = row.width() / double(m_differences.size());
        int i = 0;
        painter.setRenderHint(QPainter::SmoothPixmapTransform);
        for (const auto& [frame, picture] : m_differences) {
            const QRectF cell(row.left() + slot * i++, row.top(), slot - 1, row.height());
            QSizeF size = picture.size();
            size.scale(cell.size(), Qt::KeepAspectRatioByExpanding);
            const double w = picture.width() * cell.width() / size.width();
            const double h = picture.height() * cell.height() / size.height();
            painter.drawImage(cell, picture,
                              QRectF((picture.width() - w) / 2, (picture.height() - h) / 2, w, h));
        }
    }
    // The legend: which colour is how much.
    const double x = row.right() + m_theme.px(14), w = m_theme.px(74);
    for (int i = 0; i < int(w); ++i)
        painter.fillRect(QRectF(x + i, row.top() + m_theme.px(6), 1, m_theme.px(10)),
                         m_theme.maps().continuous(i / w));
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const QRectF figures(x, row.top() + m_theme.px(18), w, m_theme.px(14));
    painter.drawText(figures, Qt::AlignLeft, QStringLiteral("0"));
    painter.drawText(figures, Qt::AlignRight, QString::number(int(std::lround(255.0 / m_gain))));
}

void MetricStrips::paintFloor(QPainter& painter, const Rows& all) const {
    const QRectF& row = all.floor;
    const double y = std::round(row.center().y());
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const QRectF words(row.right() + m_theme.px(14), row.top(), m_theme.px(kRightGutter - 14), row.height());
    if (!m_floor)
        return;
    painter.drawText(words, Qt::AlignLeft | Qt::AlignVCenter,
                     m_floor->identical ? tr("floor: identical")
                                        : tr("noise floor %1").arg(number(m_floor->psnr, 0)));
    painter.setRenderHint(QPainter::Antialiasing, false);
    QPen dashed(m_theme.colour(Role::Text2), 1);
    dashed.setDashPattern({5, 4});
    painter.setPen(dashed);
    painter.drawLine(QPointF(row.left(), y), QPointF(row.right(), y));
}

void MetricStrips::paintCurve(QPainter& painter, const QRectF& row, const std::vector<double>& values,
                              const Range& range, const QString& name, int decimals) const {
    const auto yOf = [&](double v) {
        const double share = std::isfinite(v) ? (v - range.low) / (range.high - range.low) : 1.0;
        return row.bottom() - std::clamp(share, 0.0, 1.0) * row.height();
    };
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const int digits = range.high > 2 ? 0 : 2;
    for (const double v : {range.low, range.high}) {
        const double y = std::round(yOf(v));
        painter.fillRect(QRectF(row.left(), y, row.width(), 1), m_theme.colour(Role::Line));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(0, y - m_theme.px(8), row.left() - m_theme.px(8), m_theme.px(16)),
                         Qt::AlignRight | Qt::AlignVCenter, number(v, digits));
    }
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text));
    painter.drawText(QRectF(m_theme.px(12), row.top(), row.left(), row.height()),
                     Qt::AlignLeft | Qt::AlignVCenter, name);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(m_theme.colour(Role::SeriesB), m_theme.isHighContrast() ? 3 : 2));
    QPolygonF line;
    for (std::size_t i = 0; i < values.size(); ++i)
        line << QPointF(xOf(double(i)), yOf(values[i]));
    painter.drawPolyline(line);
    const auto at = std::size_t(m_frame);
    if (at >= values.size())
        return;
    painter.setPen(QPen(m_theme.colour(Role::Casing), 1));
    painter.setBrush(m_theme.colour(Role::SeriesB));
    painter.drawEllipse(QPointF(xOf(m_frame), yOf(values[at])), m_theme.px(4), m_theme.px(4));
    painter.setBrush(Qt::NoBrush);
    const double x = row.right() + m_theme.px(14);
    painter.setFont(m_theme.monoFont(TextStyle::Timecode));
    painter.setPen(m_theme.colour(Role::Text));
    painter.drawText(QRectF(x, row.top() - m_theme.px(2), m_theme.px(86), m_theme.px(20)),
                     Qt::AlignLeft | Qt::AlignVCenter, number(values[at], decimals));
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    painter.drawText(QRectF(x, row.top() + m_theme.px(20), m_theme.px(90), m_theme.px(16)),
                     Qt::AlignLeft | Qt::AlignVCenter,
                     tr("mean %1").arg(number(decimals == 1 ? m_figures->psnr : meanOf(values), decimals)));
}

void MetricStrips::paintAxis(QPainter& painter, const QRectF& row) const {
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    painter.drawText(QRectF(m_theme.px(12), row.top(), row.left(), row.height()),
                     Qt::AlignLeft | Qt::AlignVCenter, tr("frame"));
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    int step = 1;
    const double room = m_theme.px(48);
    for (const int wanted : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}) {
        step = wanted;
        if (row.width() / std::max(1, m_frames) * wanted >= room)
            break;
    }
    for (int frame = 0; frame < m_frames; frame += step)
        painter.drawText(QRectF(xOf(frame) - room, row.top(), 2 * room, row.height()), Qt::AlignCenter,
                         QString::number(frame));
}

void MetricStrips::paintCursor(QPainter& painter, const Rows& all) const {
    if (m_frames < 1)
        return;
    const double x = std::round(xOf(m_frame));
    const double top = all.pictures.top() - m_theme.px(4), bottom = all.ssim.bottom() + m_theme.px(4);
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(x - 1, top, 3, bottom - top), m_theme.colour(Role::Casing));
    painter.fillRect(QRectF(x, top, 1, bottom - top), m_theme.colour(Role::Playhead));
}

void MetricStrips::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.colour(Role::Panel));
    const Rows all = rows();
    if (!m_figures) {
        painter.setFont(m_theme.font(TextStyle::Label));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(rect().adjusted(m_theme.px(12), 0, -m_theme.px(12), 0),
                         Qt::AlignCenter | Qt::TextWordWrap, m_words);
    } else {
        painter.setFont(m_theme.font(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text));
        painter.drawText(QRectF(m_theme.px(12), all.pictures.top(), left(), all.pictures.height()),
                         Qt::AlignLeft | Qt::AlignVCenter, tr("Difference ×%1").arg(m_gain));
        paintPictures(painter, all.pictures);
        paintFloor(painter, all);
        const auto psnr = rounded(m_figures->psnrFrames, 5, 0, 100);
        const auto ssim = rounded(m_figures->ssimFrames, m_figures->ssimWorst > 0.9 ? 0.02 : 0.1, -1, 1);
        // Behind the row's name the space belongs to the figures of its scale.
        paintCurve(painter, all.psnr, m_figures->psnrFrames, {psnr.first, psnr.second}, tr("PSNR, dB"), 1);
        paintCurve(painter, all.ssim, m_figures->ssimFrames, {ssim.first, ssim.second}, tr("SSIM"), 3);
        paintAxis(painter, all.axis);
        paintCursor(painter, all);
    }
    if (m_keyboardFocus) {
        painter.setRenderHint(QPainter::Antialiasing, false);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(m_theme.colour(Role::Focus), 2));
        painter.drawRect(rect().adjusted(1, 1, -1, -1));
    }
}

void MetricStrips::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_figures)
        return event->ignore();
    Q_EMIT seekRequested(frameAt(event->position().x()));
}

void MetricStrips::mouseMoveEvent(QMouseEvent* event) {
    const int frame = frameAt(event->position().x());
    if (m_figures && (event->buttons() & Qt::LeftButton))
        Q_EMIT seekRequested(frame);
    Q_EMIT hovered(wordsAt(frame));
}

void MetricStrips::leaveEvent(QEvent*) {
    Q_EMIT hovered({});
}

void MetricStrips::keyPressEvent(QKeyEvent* event) {
    const int second = std::max(1, int(std::lround(m_fps)));
    const int step = event->modifiers() & Qt::ShiftModifier ? second : 1;
    switch (event->key()) {
    case Qt::Key_Left:
        return Q_EMIT seekRequested(std::max(0, m_frame - step));
    case Qt::Key_Right:
        return Q_EMIT seekRequested(std::min(m_frames - 1, m_frame + step));
    case Qt::Key_Home:
        return Q_EMIT seekRequested(0);
    case Qt::Key_End:
        return Q_EMIT seekRequested(m_frames - 1);
    default:
        if (event->modifiers() == Qt::NoModifier && event->key() < Qt::Key_Escape)
            Q_EMIT keyPressed(event->key());
        else
            QWidget::keyPressEvent(event);
    }
}

void MetricStrips::focusInEvent(QFocusEvent* event) {
    m_keyboardFocus =
        event->reason() != Qt::MouseFocusReason && event->reason() != Qt::ActiveWindowFocusReason;
    update();
}

void MetricStrips::focusOutEvent(QFocusEvent*) {
    m_keyboardFocus = false;
    update();
}

} // namespace canopy::ui
