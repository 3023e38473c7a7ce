#include "accel/policies/cache/kv_timeline.h"

#include <algorithm>

namespace canopy::accel {

KvTimeline kvTimeline(const ChunkPlan& plan, int stageRows, int capacityChunks, std::int64_t chunkTokens) {
    KvTimeline timeline;
    timeline.context.resize(static_cast<std::size_t>(plan.chunks));
    const std::int64_t capacity = capacityChunks * chunkTokens;
    std::vector<int> clean;
    std::vector<int> active; // registered and not finished, ascending: they lie behind the clean rows
    std::int64_t cleanRows = 0;
    const auto used = [&] { return cleanRows + static_cast<std::int64_t>(active.size()) * chunkTokens; };
    for (int chunk = 0; chunk < plan.prefixChunks; ++chunk) {
        if (cleanRows + chunkTokens > capacity) {
            timeline.overflowRow = 0;
            return timeline;
        }
        clean.push_back(chunk);
        cleanRows += chunkTokens;
    }
    timeline.peakRows = used();
    for (std::size_t r = 0; r < plan.rows.size(); ++r) {
        const auto& row = plan.rows[r];
        for (const auto& call : row) {
            if (call.localStep != 0)
                continue;
            if (used() + chunkTokens > capacity) {
                timeline.overflowRow = static_cast<int>(r);
                return timeline;
            }
            active.push_back(call.chunk);
            timeline.peakRows = std::max(timeline.peakRows, used());
        }
        for (const auto& call : row) {
            if (call.localStep % stageRows != 0)
                continue;
            const auto place = std::find(active.begin(), active.end(), call.chunk) - active.begin() + 1;
            timeline.context[static_cast<std::size_t>(call.chunk)].push_back(
                static_cast<double>(cleanRows + place * chunkTokens) / static_cast<double>(chunkTokens));
        }
        for (const auto& call : row) {
            if (call.localStep + 1 == plan.steps) {
                clean.push_back(call.chunk);
                cleanRows += chunkTokens;
                active.erase(std::find(active.begin(), active.end(), call.chunk));
            }
        }
        const auto& newest = row.back();
        const bool chunkEnters = newest.chunk + 1 < plan.chunks && newest.localStep + 1 == stageRows;
        if (used() < capacity || !chunkEnters || clean.size() < 2)
            continue;
        CompressionEvent event{
            static_cast<int>(r), clean, active, cleanRows, std::max(cleanRows - chunkTokens, chunkTokens), 0};
        cleanRows = event.budget;
        event.nextFree = used();
        timeline.events.push_back(std::move(event));
    }
    return timeline;
}

} // namespace canopy::accel
