#include "core/protocol/blob_assembler.h"

#include <string>

#include "core/protocol/checksum.h"

namespace canopy::protocol {

Result<void> BlobAssembler::start(const BlobStart& info) {
    m_blob.reset();
    if (info.bytes == 0 || info.bytes > kMaxBlobBytes) {
        return makeError(ErrorCode::Malformed, "A blob of " + std::to_string(info.bytes) +
                                                   " bytes was announced; expected 1 to " +
                                                   std::to_string(kMaxBlobBytes) + ". Kind: " + info.kind);
    }
    if (info.kind == "preview" || info.kind == "frame") {
        constexpr int kMaxSide = 1 << 15;
        const bool sane = info.width > 0 && info.height > 0 && info.frames > 0 && info.width <= kMaxSide &&
                          info.height <= kMaxSide && info.frames <= kMaxSide;
        if (!sane ||
            std::uint64_t(info.width) * std::uint64_t(info.height) * std::uint64_t(info.frames) * 3 !=
                info.bytes) {
            return makeError(ErrorCode::Malformed, "A picture blob of " + std::to_string(info.bytes) +
                                                       " bytes does not fit " + std::to_string(info.frames) +
                                                       " RGB pictures of " + std::to_string(info.width) +
                                                       "x" + std::to_string(info.height));
        }
    }
    m_blob.emplace(Blob{info, {}});
    return {};
}

Result<bool> BlobAssembler::add(const BlobChunk& chunk, Blob& whole) {
    if (!m_blob || m_blob->info.blob != chunk.blob) {
        return makeError(ErrorCode::Malformed, "A chunk of blob " + std::to_string(chunk.blob) +
                                                   " arrived, which is not under way");
    }
    Blob& blob = *m_blob;
    const std::uint64_t have = blob.bytes.size();
    if (chunk.offset != have || chunk.data.empty() || chunk.data.size() > blob.info.bytes - have) {
        const std::string seen = "offset " + std::to_string(chunk.offset) + ", " +
                                 std::to_string(chunk.data.size()) + " bytes; expected offset " +
                                 std::to_string(have) + " of " + std::to_string(blob.info.bytes);
        m_blob.reset();
        return makeError(ErrorCode::Malformed, "A blob chunk does not fit: " + seen);
    }
    // Not before the first chunk is here: a lying size alone takes no memory.
    if (have == 0 && chunk.data.size() * 64 >= blob.info.bytes) {
        blob.bytes.reserve(blob.info.bytes);
    }
    blob.bytes.insert(blob.bytes.end(), chunk.data.begin(), chunk.data.end());
    if (blob.bytes.size() < blob.info.bytes) {
        return false;
    }
    whole = std::move(blob);
    m_blob.reset();
    if (blobHash(whole.bytes) != whole.info.hash) {
        return makeError(ErrorCode::Malformed,
                         "A blob arrived with a wrong checksum. Kind: " + whole.info.kind);
    }
    return true;
}

} // namespace canopy::protocol
