#include "ui/cache/kept_keys_view.h"

#include <algorithm>
#include <cmath>

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

// Pixels at scale 1.
constexpr int kNames = 64;
constexpr int kShares = 52;
constexpr int kTop = 16;
constexpr int kGap = 2;
constexpr int kCellMax = 84;
constexpr int kRowMin = 18;
constexpr int kKey = 22; ///< of the colour key below

QString percent(double share) {
    return KeptKeysView::tr("%1 %").arg(QLocale().toString(share * 100, 'f', 1));
}

} // namespace

KeptKeysView::KeptKeysView(CacheSelection* selection, QWidget* parent)
    : CacheView(selection, tr("Keys that are still in memory, for each latent frame of each chunk"),
                "keptKeysView", parent) {
    QSizePolicy policy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    policy.setHeightForWidth(false);
    setSizePolicy(policy);
    connect(selection, &CacheSelection::sceneChanged, this, [this] { updateGeometry(); });
}

int KeptKeysView::latents() const {
    int most = 1;
    for (const auto& chunk : scene().chunks)
        most = std::max(most, chunk.latents);
    return most;
}

QRectF KeptKeysView::cell(int chunk, int latent) const {
    const double left = m_theme.px(kNames);
    const double w = std::min(double(m_theme.px(kCellMax)),
                              std::floor((width() - left - m_theme.px(kShares)) / latents()));
    const double aspect = scene().gridColumns > 0 ? double(scene().gridRows) / scene().gridColumns : 0.6;
    const double h = std::max(double(m_theme.px(kRowMin)), std::round((w - m_theme.px(kGap)) * aspect));
    return {left + w * latent, m_theme.px(kTop) + (h + m_theme.px(4)) * chunk, w - m_theme.px(kGap), h};
}

QSize KeptKeysView::sizeHint() const {
    if (scene().isEmpty())
        return {m_theme.px(460), m_theme.px(40)};
    return {m_theme.px(460), int(cell(scene().chunkCount() - 1, 0).bottom()) + m_theme.px(8 + kKey)};
}

QSize KeptKeysView::minimumSizeHint() const {
    return {m_theme.px(240), sizeHint().height()};
}

void KeptKeysView::resizeEvent(QResizeEvent*) {
    updateGeometry();
}

void KeptKeysView::paintFrame(QPainter& painter, const QRectF& cell, const KeptKeys& kept, int latent) {
    const auto l = std::size_t(latent);
    if (l < kept.places.size() && scene().gridColumns > 0) {
        QImage image(scene().gridColumns, scene().gridRows, QImage::Format_RGB32);
        for (int r = 0; r < scene().gridRows; ++r)
            for (int c = 0; c < scene().gridColumns; ++c)
                image.setPixelColor(
                    c, r,
                    m_theme.maps().continuous(kept.places[l][std::size_t(r * scene().gridColumns + c)]));
        return painter.drawImage(cell, image);
    }
    if (l >= kept.latentShares.size())
        return;
    const double share = kept.latentShares[l];
    painter.fillRect(cell, m_theme.maps().continuous(share));
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    if (cell.width() > painter.fontMetrics().horizontalAdvance(QStringLiteral("100"))) {
        painter.setPen(share < 0.55 ? Qt::white : Qt::black);
        painter.drawText(cell, Qt::AlignCenter, QString::number(std::lround(share * 100)));
    }
}

void KeptKeysView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (scene().isEmpty())
        return focusRing(painter);
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    for (int l = 0; l < latents(); ++l)
        painter.drawText(QRectF(cell(0, l).left(), 0, cell(0, l).width(), m_theme.px(kTop - 2)),
                         Qt::AlignHCenter, QString::number(l));
    for (int c = 0; c < scene().chunkCount(); ++c) {
        const bool known = std::size_t(c) < scene().kept.size() && scene().kept[std::size_t(c)];
        const QRectF first = cell(c, 0);
        painter.setFont(m_theme.font(TextStyle::Label));
        const bool chosen = c == m_selection->chunk();
        painter.setPen(m_theme.colour(chosen ? Role::Text : known ? Role::Text2 : Role::Text3));
        painter.drawText(QRectF(0, first.top(), first.left(), first.height()),
                         Qt::AlignLeft | Qt::AlignVCenter, tr("Chunk %1").arg(c + 1));
        const int count = scene().chunks[std::size_t(c)].latents;
        for (int l = 0; l < count; ++l) {
            const QRectF at = cell(c, l);
            if (known)
                paintFrame(painter, at, *scene().kept[std::size_t(c)], l);
            painter.setBrush(Qt::NoBrush);
            painter.setPen(QPen(m_theme.colour(known ? Role::Outline : Role::Line), 1));
            painter.drawRect(at.adjusted(0, 0, -1, -1));
        }
        painter.setFont(m_theme.monoFont(TextStyle::Caption));
        painter.setPen(m_theme.colour(known ? Role::Text : Role::Text3));
        painter.drawText(
            QRectF(cell(c, latents() - 1).right(), first.top(), m_theme.px(kShares), first.height()),
            Qt::AlignRight | Qt::AlignVCenter,
            known ? percent(scene().kept[std::size_t(c)]->share) : QStringLiteral("-"));
    }
    // The key of colours.
    const double top = cell(scene().chunkCount() - 1, 0).bottom() + m_theme.px(8);
    const QRectF key(m_theme.px(kNames), top, m_theme.px(120), m_theme.px(8));
    for (int x = 0; x < int(key.width()); ++x)
        painter.fillRect(QRectF(key.left() + x, key.top(), 1, key.height()),
                         m_theme.maps().continuous(x / key.width()));
    painter.setPen(m_theme.colour(Role::Text2));
    const double h = painter.fontMetrics().height(), y = key.center().y() - h / 2;
    painter.drawText(QRectF(0, y, key.left() - m_theme.px(6), h), Qt::AlignRight, tr("kept 0"));
    painter.drawText(QRectF(key.right() + m_theme.px(6), y, width(), h), Qt::AlignLeft, tr("1"));
    focusRing(painter);
}

KeptKeysView::Place KeptKeysView::placeAt(const QPointF& point) const {
    for (int c = 0; c < scene().chunkCount(); ++c)
        for (int l = 0; l < scene().chunks[std::size_t(c)].latents; ++l)
            if (const QRectF at = cell(c, l); at.contains(point)) {
                Place place{c, l, -1, -1};
                if (scene().gridColumns > 0) {
                    place.row = int((point.y() - at.top()) / at.height() * scene().gridRows);
                    place.column = int((point.x() - at.left()) / at.width() * scene().gridColumns);
                }
                return place;
            }
    return {};
}

QString KeptKeysView::wordsOf(const Place& place) const {
    const auto c = std::size_t(place.chunk), l = std::size_t(place.latent);
    if (c >= scene().kept.size() || !scene().kept[c])
        return tr("chunk %1: no keys in memory").arg(place.chunk + 1);
    const KeptKeys& kept = *scene().kept[c];
    if (l >= kept.latentShares.size())
        return {};
    QString text = tr("chunk %1, latent frame %2: %3 of its keys kept")
                       .arg(place.chunk + 1)
                       .arg(place.latent)
                       .arg(percent(kept.latentShares[l]));
    if (l < kept.places.size() && place.row >= 0)
        text +=
            tr("; row %1, column %2: %3")
                .arg(place.row)
                .arg(place.column)
                .arg(percent(kept.places[l][std::size_t(place.row * scene().gridColumns + place.column)]));
    return text;
}

void KeptKeysView::mousePressEvent(QMouseEvent* event) {
    const Place place = placeAt(event->position());
    if (place.chunk < 0)
        return;
    m_selection->select(place.chunk, m_selection->step());
    const auto& chunk = scene().chunks[std::size_t(place.chunk)];
    Q_EMIT m_selection->seekRequested(chunk.firstFrame +
                                      chunk.frames * place.latent / std::max(1, chunk.latents));
}

void KeptKeysView::mouseMoveEvent(QMouseEvent* event) {
    const Place place = placeAt(event->position());
    Q_EMIT m_selection->hovered(place.chunk >= 0 ? wordsOf(place) : QString());
}

} // namespace canopy::ui
