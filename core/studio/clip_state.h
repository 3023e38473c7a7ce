#pragma once

// Private to core/studio: what an unfinished clip goes on from.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/job/chunk_record.h"
#include "core/job/generation_request.h"
#include "core/job/sampling_point.h"
#include "core/project/job_store.h"

namespace canopy {

struct ClipState {
    GenerationRequest request; ///< as resolved by the worker, without what belongs to one run
    JobTarget target;          ///< empty where a recording does not say
    SamplingPoint point;
    ChunkRecord chunks;              ///< of the rows before the point; without a run where it was not watched
    std::vector<std::uint8_t> state; ///< the state file: core/job/sampling_point.h
};

/// Replaces `path` as a whole or leaves it untouched. A session file (core/protocol/session_file.h) of one
/// start_job, one studio/target, the chunk record and the state.
Result<void> writeClipState(const std::filesystem::path& path, const ClipState& state);

/// The newest whole state of such a file or of a session recorded with its state. Malformed for other or
/// damaged files, Unsupported for newer ones, NotFound where a recording holds none.
Result<ClipState> readClipState(const std::filesystem::path& path);

/// The last clip that a recording saw begin. Its job is a number in the job table of then.
struct RecordedJob {
    JobId job = 0;
    GenerationRequest request; ///< as sent
};
Result<RecordedJob> recordedJob(const std::filesystem::path& session);

/// The metadata of a state file.
Result<SamplingPoint> pointOf(std::span<const std::uint8_t> stateFile);

} // namespace canopy
