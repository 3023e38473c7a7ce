#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/project/clip_drift.h"
#include "core/project/job_store.h"

namespace canopy {

/// The frames of a clip under way that will not change any more, from its first on. Pictures are smaller than
/// the clip's where all of them would take more than kMostBytes. Immutable parts are shared.
struct GrownFrames {
    static constexpr std::size_t kMostBytes = std::size_t{256} << 20;
    using Picture = std::shared_ptr<const std::vector<std::uint8_t>>; ///< RGB rows, width x height

    JobId job = 0;
    int count = 0; ///< frames that the clip will have
    int width = 0;
    int height = 0;
    std::vector<Picture> pictures;
    std::vector<FrameLook> looks; ///< of each picture, measured on the whole frame
};

/// Gathers them. One thread.
class GrowingClip {
public:
    void begin(JobId job) { m_now = {}, m_now.job = job, m_shown.reset(); }
    /// The next frame of `count`; one that is not the next is left out.
    void add(int index, int count, int width, int height, std::span<const std::uint8_t> rgb);
    /// The same pointer as before when nothing came; null while there is none.
    std::shared_ptr<const GrownFrames> current();

private:
    GrownFrames m_now;
    int m_factor = 1; ///< pixels along an edge that become one
    std::shared_ptr<const GrownFrames> m_shown;
};

} // namespace canopy
