#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/client/client_snapshot.h"
#include "core/studio/studio_snapshot.h"

namespace canopy::ui {

/// What the profiler overlay draws, gathered from snapshots. A value.
class ProfilerData {
public:
    static constexpr std::size_t kSteps = 64; ///< steps whose times are kept

    struct Entry {
        std::string name;
        double seconds = 0;
    };

    /// Takes over what is new. Another job starts the histories afresh.
    void update(const StudioSnapshot& snapshot);

    const std::vector<Entry>& stages() const { return m_stages; }      ///< "text", "step", "decode" ...
    const std::vector<float>& blockMillis() const { return m_blocks; } ///< by block, of the last step
    const std::deque<float>& stepMillis() const { return m_steps; }    ///< oldest first
    const WorkerView& worker() const { return m_worker; }
    const client::Traffic& traffic() const { return m_traffic; }
    std::uint64_t plannedBytes() const { return m_planned; }
    std::uint64_t peakBytes() const { return m_peak; }

private:
    JobId m_job = 0;
    int m_lastStep = -1;
    std::vector<Entry> m_stages;
    std::vector<float> m_blocks;
    std::deque<float> m_steps;
    WorkerView m_worker;
    client::Traffic m_traffic;
    std::uint64_t m_planned = 0;
    std::uint64_t m_peak = 0;
};

} // namespace canopy::ui
