#pragma once

#include <map>

#include <QTimer>

#include "ui/cache/cache_view.h"
#include "ui/timeline/timeline_facts.h"

namespace canopy::ui {

/// Where things of the timeline lie: one x scale, in frames, for all rows. Pure.
struct TimelineLayout {
    QRectF ruler, film, cache, memory, drift; ///< drift is empty where it is folded
    double frameWidth = 0;
    double gap = 0; ///< between chunks

    double frameX(int frame) const { return film.left() + frameWidth * frame; }
    QRectF chunk(const CacheScene& scene, int chunk, const QRectF& row) const;
};
TimelineLayout layoutTimeline(const CacheScene& scene, const QSizeF& size, bool foldsDrift,
                              const Theme& theme);

/// The chunks of a clip below the player, aligned with its frames: pictures, what was computed and reused,
/// keys in memory, and drift. Left and Right move from chunk to chunk, Enter goes to its first frame, the
/// menu key or the right button opens what can be done with it.
class ChunkTimelineView : public CacheView {
    Q_OBJECT
public:
    explicit ChunkTimelineView(CacheSelection* selection, QWidget* parent = nullptr);

    void setFacts(TimelineFacts facts);
    const TimelineFacts& facts() const { return m_facts; }
    void setPictures(PictureOf picture) { m_picture = std::move(picture); }
    /// Other pictures than before belong to the clip: forgets them or takes new ones in soon.
    void picturesChanged(bool otherClip);
    void setFolded(bool drift); ///< the drift row is left out
    bool isFolded() const { return m_folded; }

    /// One sentence about a chunk: what a screen reader, the tooltip and the status bar say.
    QString chunkWords(int chunk) const;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

Q_SIGNALS:
    void menuRequested(int chunk, const QPoint& global);

protected:
    QString spoken() const override { return chunkWords(m_selection->chunk()); }
    bool event(QEvent* event) override; ///< tooltips
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;

private:
    TimelineLayout layoutNow() const;
    int frameAt(const QPointF& point) const; ///< -1 outside
    void takePictures();
    bool isMaking(int chunk) const;
    void paintRuler(QPainter& painter, const TimelineLayout& at);
    void paintFilm(QPainter& painter, const TimelineLayout& at, int chunk);
    void paintPlate(QPainter& painter, const QRectF& cell, int chunk);
    void paintCache(QPainter& painter, const TimelineLayout& at, int chunk);
    void paintMemory(QPainter& painter, const TimelineLayout& at, int chunk);
    void paintDrift(QPainter& painter, const TimelineLayout& at);
    void paintGutters(QPainter& painter, const TimelineLayout& at);
    void paintPlayhead(QPainter& painter, const TimelineLayout& at);
    std::vector<int> slotsOf(const QRectF& cell, int chunk) const; ///< frames that the film shows

    TimelineFacts m_facts;
    PictureOf m_picture;
    std::map<int, QImage> m_film; ///< by frame, at the row's height
    QTimer m_filmTimer;
    bool m_folded = false;
};

} // namespace canopy::ui
