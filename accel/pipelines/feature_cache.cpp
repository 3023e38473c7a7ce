#include "accel/pipelines/feature_cache.h"

#include <algorithm>

namespace canopy::accel {
namespace {

std::uint64_t bytesOf(const VideoTokens& video) {
    std::uint64_t bytes = 0;
    for (const auto* tensor : {&video.features, &video.attention, &video.keys, &video.pixelDifference}) {
        if (tensor->defined())
            bytes += tensor->nbytes();
    }
    return bytes;
}

} // namespace

const VideoTokens* FeatureCache::find(const FeatureKey& key) {
    const auto it = std::find_if(m_entries.begin(), m_entries.end(),
                                 [&key](const auto& entry) { return entry.first == key; });
    if (it == m_entries.end())
        return nullptr;
    m_entries.splice(m_entries.begin(), m_entries, it);
    return &m_entries.front().second;
}

void FeatureCache::put(const FeatureKey& key, VideoTokens video) {
    m_entries.remove_if([&key](const auto& entry) { return entry.first == key; });
    m_entries.emplace_front(key, std::move(video));
    trim();
}

void FeatureCache::setLimit(std::uint64_t limitBytes) {
    m_limit = limitBytes;
    trim();
}

void FeatureCache::trim() {
    while (!m_entries.empty() && bytes() > m_limit)
        m_entries.pop_back();
}

std::uint64_t FeatureCache::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [key, video] : m_entries)
        sum += bytesOf(video);
    return sum;
}

} // namespace canopy::accel
