#include "core/studio/base_clip.h"

#include <span>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/protocol/messages.h"
#include "core/protocol/session_file.h"

namespace canopy {

Result<std::filesystem::path> baseLatents(const std::filesystem::path& base,
                                          const std::filesystem::path& to) {
    if (SafetensorsFile::open(base))
        return base;
    const auto session = protocol::SessionReader::open(base);
    if (!session)
        return makeError(session.error().code,
                         "The earlier clip is neither a recorded session nor a file of latents: " +
                             session.error().message);
    const auto& entries = session->entries();
    for (std::size_t i = entries.size(); i-- > 0;) {
        const auto message = session->message(i);
        if (!message)
            continue;
        const auto told = protocol::workerMessageFromValue(*message);
        const auto* blob = told ? std::get_if<protocol::BlobStart>(&*told) : nullptr;
        if (!blob || blob->kind != "latents" || !session->hasBlob(blob->hash))
            continue;
        const auto bytes = session->blob(blob->hash);
        if (!bytes)
            return bytes.error();
        if (auto written = writeFileAtomically(to, std::span<const std::uint8_t>(*bytes)); !written)
            return written.error();
        return to;
    }
    return makeError(ErrorCode::NotFound,
                     "The recorded session holds no finished latents: record the earlier clip in blocks "
                     "(--mode chunked --record) to its end. File: " +
                         base.string());
}

} // namespace canopy
