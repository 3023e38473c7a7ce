#pragma once

#include <cstdint>

namespace canopy::accel {

class Device;

/// Keeps the host at most `ahead` blocks in front of the card, so that a stop request is obeyed within that
/// many blocks and the stop token is read at the card's pace. Waits on an old event, never on the newest: the
/// card does not run dry. Inference thread.
class BlockPacer {
public:
    static constexpr int kDefaultAhead = 2;

    explicit BlockPacer(Device& device, int ahead = kDefaultAhead);

    /// To be called after each block has been queued.
    void blockQueued();

private:
    Device& m_device;
    std::uint64_t m_ahead;
};

} // namespace canopy::accel
