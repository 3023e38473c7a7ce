#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::protocol {

/// Window and worker must be of equal protocol version.
inline constexpr int kProtocolVersion = 4;
inline constexpr std::uint32_t kMaxMessageBytes = 1u << 20;

using JobId = std::int64_t;

// ---- client to worker
// -------------------------------------------------------------------------------------------

/// First message of the client; the worker answers with WorkerHello.
struct ClientHello {
    int version = kProtocolVersion;
    std::uint64_t epoch = 0; ///< chosen per worker start; every worker message of another epoch is dropped
    LogLevel logLevel = LogLevel::Info;
};

/// Starts a job. Ends in exactly one Finished, Paused or Failed. Kinds:
///   "generate"    request = GenerationRequest, model = ModelRecord
///   "ask"         request = AskRequest, model = QaModelRecord
///   "calibrate"   request = CalibrationRequest, model = ModelRecord
///   "similarity"  the same with "cell" in the request: cosine of that cell with every cell of the video
struct StartJob {
    JobId job = 0;
    std::string kind;
    Value request;
    Value model;                   ///< what the client found when it scanned headers
    std::uint64_t stateBudget = 0; ///< bytes that a saved state of sampling may have; 0 = none is sent
    double stateSeconds = 0;       ///< at least so long between two of them
};

struct CancelJob {
    JobId job = 0;
};

/// Stops a clip at its next block, keeps what its state is worth and frees the device; ends in Paused, or in
/// Finished where that was faster.
struct PauseJob {
    JobId job = 0;
};

/// Topics that someone watches: "preview", "stage_times", "block_times", "attention" (AttentionStepDone),
/// "attention_stats", "attention_masks" (of every layer), "attention_masks/<layer>", "chunks". No observer,
/// no cost.
struct Subscribe {
    std::vector<std::string> topics;
};

/// The client has taken this many blob bytes out of its queue; the worker may have 32 MiB under way.
struct BlobCredit {
    std::uint64_t bytes = 0;
};

struct Shutdown {};

// ---- worker to client
// -------------------------------------------------------------------------------------------

struct WorkerHello {
    int version = kProtocolVersion;
    std::uint64_t epoch = 0;
    std::int64_t pid = 0;
    std::string build;                ///< version of the program
    int threads = 0;                  ///< CPU threads it would use
    bool bf16Fast = false;            ///< the processor multiplies bf16 in hardware
    std::vector<std::string> devices; ///< "cpu", then "cuda: NVIDIA H100 80GB HBM3" where one can be used
    std::string deviceNote;           ///< why there is no GPU, in words; empty when there is one
};

/// From its own thread every 250 ms, whatever the inference thread does.
struct Heartbeat {
    std::uint64_t counter = 0;
    std::uint64_t residentBytes = 0;
    std::uint64_t deviceBytes = 0; ///< allocated on the GPU; 0 without one
    std::uint64_t dropped = 0;     ///< previews and telemetry left out so far because the client was slower
};

struct LogLine {
    LogRecord record;
};

enum class Stage : std::uint8_t {
    Load,
    Text,
    Denoise,
    Decode,
    Encode,
    Vision,
    Select,
    Prefill,
    Answer,
    Calibrate
};

/// At most 20 a second, always at the end of a step. Units of Denoise are steps, of Decode latent frames, of
/// Vision frames, of Prefill layers, of Answer tokens, of Calibrate transformer blocks.
struct Progress {
    JobId job = 0;
    Stage stage = Stage::Load;
    int unit = 0;  ///< finished units of this stage
    int units = 0; ///< 0 = unknown
    int block = 0; ///< transformer blocks finished in the current step, over all branches
    int blocks = 0;
    double unitSeconds = 0;      ///< duration of the last finished unit
    double remainingSeconds = 0; ///< of the whole job, predicted from measured units; 0 = unknown
    double remainingSpread = 0;  ///< half width of its range
    std::uint64_t peakBytes = 0; ///< measured so far on the job's device
};

/// What the worker made of "auto" fields: the request that repeats this job, and its memory plan.
struct Resolved {
    JobId job = 0;
    Value request;
    Value memoryPlan; ///< stages -> category -> bytes
};

/// Sampling goes on from a saved state: a canopy::SamplingPoint.
struct Resumed {
    JobId job = 0;
    Value point;
};

/// Times for the profiler overlay. Kept newest-wins per (job, name).
struct Timing {
    JobId job = 0;
    int step = 0;
    std::string name; ///< "text", "step", "block 3", "decode", "preview"
    double seconds = 0;
};

/// What sparse attention did in a step that has ended: a canopy::AttentionStep. Dropped and counted in
/// Heartbeat::dropped where the client is slower.
struct AttentionStepDone {
    JobId job = 0;
    Value step;
};

/// More of an answer: whole UTF-8 characters, to be appended.
struct Words {
    JobId job = 0;
    std::string text;
};

/// Announces a blob of which chunks follow. kind: "preview" (uint8 RGB, frames of one animated preview),
/// "frame" (one final uint8 RGB frame, `index` of `count`), "latents" (safetensors file bytes), "token_run"
/// (TokenRun as CBOR), "head_measurement" (HeadMeasurement as CBOR), "attention_stats" (JSON text),
/// "attention_masks" (block masks of the step `step`, CBOR), "chunk_record" (new entries of a ChunkRecord as
/// CBOR), "state" (a state file of sampling: core/job/sampling_point.h), but for that the last three where
/// their topic is watched.
struct BlobStart {
    std::uint64_t blob = 0;
    JobId job = 0;
    std::string kind;
    int width = 0;
    int height = 0;
    int frames = 0; ///< frames inside this blob
    int index = 0;
    int count = 0;
    int step = 0;
    std::uint64_t bytes = 0;
    std::uint64_t hash = 0; ///< XXH64 of the whole content, seed 0
};

/// At most 1 MiB of a blob. Sent as CBOR bytes; the decoder checks offset and total.
struct BlobChunk {
    std::uint64_t blob = 0;
    std::uint64_t offset = 0;
    Value::Bytes data;
};

struct Finished {
    JobId job = 0;
    Value request; ///< resolved request
    /// generate: seconds by stage, peak and planned bytes, step seconds; ask: Answer; calibrate: empty;
    /// similarity: "cosine", little-endian float32 bytes, one per cell.
    Value summary;
};

/// The job stopped because PauseJob asked for it; everything else of it has been sent.
struct Paused {
    JobId job = 0;
};

struct Failed {
    JobId job = 0;
    Error error;
    Value details; ///< for out_of_memory: stage, device, needed and free bytes; for models: missing names
};

using ClientMessage =
    std::variant<ClientHello, StartJob, CancelJob, PauseJob, Subscribe, BlobCredit, Shutdown>;
using WorkerMessage = std::variant<WorkerHello, Heartbeat, LogLine, Progress, Resolved, Resumed, Timing,
                                   AttentionStepDone, Words, BlobStart, BlobChunk, Finished, Paused, Failed>;

std::string_view stageName(Stage stage); ///< "load", "text", "denoise", ...
std::optional<Stage> stageFromName(std::string_view name);

/// A message as a map with its type under "type"; fields are listed once, in messages.cpp.
Value toValue(const ClientMessage& message);
Value toValue(const WorkerMessage& message);
Result<ClientMessage> clientMessageFromValue(const Value& value);
Result<WorkerMessage> workerMessageFromValue(const Value& value);

} // namespace canopy::protocol
