#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/protocol/messages.h"

namespace canopy::protocol {

/// Largest blob that is accepted; memory is taken only as its chunks arrive.
inline constexpr std::uint64_t kMaxBlobBytes = std::uint64_t{1} << 30;

/// Puts the chunks of one blob together. The writer sends blobs one after another, so a new start abandons an
/// unfinished one (its job was cancelled).
class BlobAssembler {
public:
    struct Blob {
        BlobStart info;
        std::vector<std::uint8_t> bytes;
    };

    /// Refuses sizes above kMaxBlobBytes and pictures whose size does not fit their width, height and frames.
    Result<void> start(const BlobStart& info);
    /// True, and the blob in `whole`, when this was its last chunk. Malformed when the offset, size or
    /// checksum is wrong; the blob is given up then. A chunk of a blob that was given up or is unknown is
    /// Malformed as well.
    Result<bool> add(const BlobChunk& chunk, Blob& whole);
    /// Forgets an unfinished blob.
    void abandon() { m_blob.reset(); }
    std::uint64_t heldBytes() const { return m_blob ? m_blob->bytes.size() : 0; }
    /// The blob under way, if any.
    const BlobStart* current() const { return m_blob ? &m_blob->info : nullptr; }

private:
    std::optional<Blob> m_blob;
};

} // namespace canopy::protocol
