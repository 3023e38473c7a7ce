#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include "accel/nn/token_hooks.h"
#include "core/formats/qa_model.h"

namespace canopy::accel {

/// What features depend on beside the model: the frames' pixels and the pooling.
struct FeatureKey {
    std::uint64_t frames = 0; ///< XXH64 of the frames' bytes
    HostPooling pooling = HostPooling::Bilinear;
    bool operator==(const FeatureKey&) const = default;
};

/// Features of the videos that were looked at last, so that a second question does not run the tower again.
/// The one used longest ago leaves first when the limit is passed; a video larger than the limit is not kept.
/// Home thread: the inference thread.
class FeatureCache {
public:
    static constexpr std::uint64_t kDefaultLimit = std::uint64_t{256} << 20;

    explicit FeatureCache(std::uint64_t limitBytes = kDefaultLimit)
        : m_limit(limitBytes) {}

    /// Null when they are not here. What attention, keys and pixel differences are there depends on what was
    /// asked for when they were made.
    const VideoTokens* find(const FeatureKey& key);
    /// Replaces what was kept for the key.
    void put(const FeatureKey& key, VideoTokens video);
    void clear() { m_entries.clear(); }
    /// Drops what is beyond the new limit.
    void setLimit(std::uint64_t limitBytes);

    std::uint64_t bytes() const;
    std::size_t size() const { return m_entries.size(); }

private:
    void trim();

    std::uint64_t m_limit;
    std::list<std::pair<FeatureKey, VideoTokens>> m_entries; ///< used last first
};

} // namespace canopy::accel
