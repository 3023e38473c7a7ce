#include "ui/overlay/profiler_data.h"

#include <charconv>

namespace canopy::ui {

void ProfilerData::update(const StudioSnapshot& snapshot) {
    m_worker = snapshot.worker;
    if (const auto* row = snapshot.running ? snapshot.find(snapshot.running) : nullptr;
        row && row->progress) {
        m_planned = row->progress->plannedBytes;
        m_peak = row->progress->peakBytes;
    }
    if (!snapshot.client)
        return;
    m_traffic = snapshot.client->traffic;
    if (!snapshot.client->job)
        return;
    const auto& job = *snapshot.client->job;
    if (job.job != m_job) {
        m_job = job.job;
        m_lastStep = -1;
        m_steps.clear();
        m_blocks.clear();
    }
    m_stages.clear();
    for (const auto& timing : job.timings) {
        constexpr std::string_view kBlock = "block ";
        if (timing.name.starts_with(kBlock)) {
            std::size_t index = 0;
            const char* end = timing.name.data() + timing.name.size();
            const auto parsed = std::from_chars(timing.name.data() + kBlock.size(), end, index);
            if (parsed.ec != std::errc() || index >= 1024)
                continue;
            if (m_blocks.size() <= index)
                m_blocks.resize(index + 1);
            m_blocks[index] = float(timing.seconds * 1e3);
            continue;
        }
        m_stages.push_back({timing.name, timing.seconds});
        if (timing.name == "step" && timing.step != m_lastStep) {
            m_lastStep = timing.step;
            m_steps.push_back(float(timing.seconds * 1e3));
            if (m_steps.size() > kSteps)
                m_steps.pop_front();
        }
    }
}

} // namespace canopy::ui
