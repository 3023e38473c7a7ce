#pragma once

#include <functional>
#include <vector>

#include <QImage>
#include <QSize>

#include "core/project/clip_drift.h"

namespace canopy::ui {

/// What the chunk timeline knows besides the record of the chunks. A value.
struct TimelineFacts {
    double fps = 16;
    QSize pictureSize;               ///< pixels of the clip
    int finishedFrames = 0;          ///< decoded, from the first on
    std::vector<double> secondsLeft; ///< [chunks], predicted; empty when the clip is done
    std::vector<Drift> frameDrift;   ///< of the finished frames
    std::vector<Drift> chunkDrift;   ///< of the chunks that have finished frames

    bool isLive() const { return !secondsLeft.empty(); }
};

/// The picture of a frame of the clip, decoded or a preview; null where there is none yet.
using PictureOf = std::function<QImage(int frame)>;

} // namespace canopy::ui
