#include "core/studio/base_clip.h"

#include <span>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/protocol/messages.h"
#include "core/protocol/session_file.h"
#include "core/studio/running_job.h"

namespace canopy {

namespace {

/// The newest finished job that made this file.
std::optional<JobRecord> jobOf(const JobStore& jobs, const std::filesystem::path& clip) {
    std::optional<JobRecord> found;
    if (const auto all = jobs.all())
        for (const JobRecord& job : *all)
            if (job.state == JobState::Done && job.clip() && job.resultFile == clip)
                found = job;
    return found;
}

Error notKept(const std::filesystem::path& clip) {
    return makeError(
        ErrorCode::NotFound,
        "What this clip was made of is not kept: it was made as a whole, or its job was taken off "
        "the list. Make it once more, in blocks, and go on from that. File: " +
            clip.string());
}

} // namespace

std::optional<Error> baseProblem(const StudioOptions& options, const JobStore& jobs,
                                 const GenerationRequest& request) {
    const std::filesystem::path base = request.chunks.basePath;
    if (base.empty())
        return std::nullopt;
    std::error_code ec;
    const auto job = jobOf(jobs, base);
    if (!job) {
        if (base.extension() == ".mp4")
            return notKept(base);
        return std::nullopt; // a session or latents: looked at when the clip begins
    }
    if (!std::filesystem::exists(keptLatentsOf(options, job->id), ec))
        return notKept(base);
    const GenerationRequest& earlier = *job->clip();
    if (earlier.width != request.width || earlier.height != request.height ||
        earlier.frames != request.frames)
        return makeError(ErrorCode::InvalidArgument,
                         "The earlier clip is " + std::to_string(earlier.width) + "x" +
                             std::to_string(earlier.height) + " with " + std::to_string(earlier.frames) +
                             " frames, and this one is to be " + std::to_string(request.width) + "x" +
                             std::to_string(request.height) + " with " + std::to_string(request.frames) +
                             "; to go on from one of its blocks, keep its size and length.");
    if (earlier.modelId != request.modelId)
        return makeError(ErrorCode::InvalidArgument,
                         "The earlier clip was made by another model (" + earlier.modelId +
                             "); to go on from one of its blocks, choose that model.");
    return std::nullopt;
}

Result<std::filesystem::path> baseLatents(const StudioOptions& options, const JobStore& jobs,
                                          const std::filesystem::path& base,
                                          const std::filesystem::path& to) {
    if (SafetensorsFile::open(base))
        return base;
    if (const auto job = jobOf(jobs, base)) {
        const auto kept = keptLatentsOf(options, job->id);
        if (std::error_code ec; !std::filesystem::exists(kept, ec))
            return notKept(base);
        return kept;
    }
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
