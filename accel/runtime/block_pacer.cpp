#include "accel/runtime/block_pacer.h"

#include <cassert>

#include "accel/runtime/device.h"

namespace canopy::accel {

BlockPacer::BlockPacer(Device& device, int ahead)
    : m_device(device)
    , m_ahead(static_cast<std::uint64_t>(ahead)) {
    assert(ahead >= 0 && m_ahead < Device::kEventRing);
}

void BlockPacer::blockQueued() {
    const auto ticket = m_device.recordEvent();
    if (ticket > m_ahead)
        m_device.waitEvent(ticket - m_ahead);
}

} // namespace canopy::accel
