#include "accel/pipelines/kv_record.h"

#include <algorithm>
#include <cmath>

namespace canopy::accel {

KvUse kvUse(const KvPool& pool, bool onDevice) {
    KvUse use;
    use.capacityRows = static_cast<int>(pool.capacityRows());
    use.usedRows = static_cast<int>(pool.usedRows());
    use.bytes = pool.bytes();
    use.onDevice = onDevice;
    for (const auto& range : pool.ranges())
        use.ranges.push_back({range.chunk, static_cast<int>(range.first), static_cast<int>(range.rows)});
    return use;
}

std::vector<KeptFrame> keptFrames(const KvPool& pool, int layers, int branches, int firstChunk, int lastChunk,
                                  int chunkFrames, int frameTokens) {
    const std::int64_t chunkTokens = std::int64_t{chunkFrames} * frameTokens;
    const std::int64_t begin = firstChunk * chunkTokens;
    const std::int64_t end = (lastChunk + 1) * chunkTokens;
    std::vector<int> counts(static_cast<std::size_t>(end - begin), 0);
    int lists = 0; // tables that each count a token at most once
    for (int branch = 0; branch < branches; ++branch) {
        for (int layer = 0; layer < layers; ++layer) {
            const auto origin = pool.origin(static_cast<Branch>(branch), layer).contiguous();
            lists += origin.dim() == 2 ? static_cast<int>(origin.size(0)) : 1;
            const auto* rows = origin.const_data_ptr<std::int32_t>();
            for (std::int64_t i = 0; i < origin.numel(); ++i) {
                if (rows[i] >= begin && rows[i] < end)
                    ++counts[static_cast<std::size_t>(rows[i] - begin)];
            }
        }
    }
    std::vector<KeptFrame> frames;
    for (int chunk = firstChunk; chunk <= lastChunk; ++chunk) {
        for (int f = 0; f < chunkFrames; ++f) {
            KeptFrame frame;
            frame.chunk = chunk;
            frame.frame = chunk * chunkFrames + f;
            std::int64_t sum = 0;
            for (int t = 0; t < frameTokens; ++t) {
                const int count = counts[static_cast<std::size_t>(
                    (frame.frame - firstChunk * chunkFrames) * std::int64_t{frameTokens} + t)];
                sum += count;
                frame.keptMap.push_back(static_cast<std::uint8_t>(std::lround(255.0 * count / lists)));
            }
            frame.kept = static_cast<double>(sum) / lists / frameTokens;
            frames.push_back(std::move(frame));
        }
    }
    return frames;
}

} // namespace canopy::accel
