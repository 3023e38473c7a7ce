#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/protocol/messages.h"

namespace canopy::client {

using protocol::JobId;

/// Bytes that the worker sent as one blob, whole and with the right checksum. `info.kind` says what they are.
/// Holding a "frame" holds back the worker: only when the last owner lets go does the worker get the credit
/// to send as many bytes again (at most 32 MiB are under way). Keep it while it is encoded, not longer.
struct ReceivedBlob {
    protocol::BlobStart info;
    std::vector<std::uint8_t> bytes;
};
using BlobPtr = std::shared_ptr<const ReceivedBlob>;

enum class JobEnd : std::uint8_t {
    Finished,   ///< all frames have been handed over before
    Failed,     ///< the worker said why
    Cancelled,  ///< by cancel()
    Paused,     ///< by pause(); submitted again it goes on
    Interrupted ///< the worker ended or was restarted while the job was open; it can be submitted again
};

/// How one job ended.
struct JobOutcome {
    JobId job = 0;
    JobEnd end = JobEnd::Failed;
    Error error;   ///< unless Finished: the sentence for the person
    Value details; ///< of Failed: figures for out_of_memory, missing names for models; null otherwise
    Value request; ///< of Finished: the resolved request
    Value summary; ///< of Finished: see protocol::Finished
    /// How many times this job was open when the worker died, over all its submissions to this client. At 2
    /// it is to be set aside and not started again by itself.
    int workerDeaths = 0;
};

/// Receives what belongs to a job and must not be lost. Called on the client's reader thread, in the order in
/// which the worker sent it: must return quickly (hand the value to another thread), must not call the
/// client's destructor. Calls of submit() and cancel() from inside are fine.
class JobListener {
public:
    virtual ~JobListener() = default;

    /// The worker chose every "auto" field; the request map repeats this job, the plan is its memory plan.
    virtual void jobResolved(JobId job, const Value& request, const Value& memoryPlan) {
        (void)job, (void)request, (void)memoryPlan;
    }
    /// Sampling goes on from a saved state: a canopy::SamplingPoint.
    virtual void jobResumed(JobId job, const Value& point) { (void)job, (void)point; }
    /// At most 20 a second; the newest also stands in the snapshot.
    virtual void jobProgress(const protocol::Progress& progress) { (void)progress; }
    /// More of an answer, to be appended.
    virtual void jobWords(JobId job, const std::string& text) { (void)job, (void)text; }
    /// Which video tokens were chosen: a TokenRun as CBOR.
    virtual void jobTokens(JobId job, BlobPtr run) { (void)job, (void)run; }
    /// What sparse attention did in one step: a canopy::AttentionStep; where the topic "attention" is
    /// watched.
    virtual void jobAttentionStep(JobId job, const Value& step) { (void)job, (void)step; }
    /// Block masks as CBOR; where the topic of their layer is watched.
    virtual void jobAttentionMasks(JobId job, BlobPtr masks) { (void)job, (void)masks; }
    /// What sparse attention kept and reused, as JSON text; where the topic "attention_stats" is watched.
    virtual void jobAttentionStats(JobId job, BlobPtr json) { (void)job, (void)json; }
    /// One measured head of a calibration: a HeadMeasurement as CBOR.
    virtual void jobMeasured(JobId job, BlobPtr measurement) { (void)job, (void)measurement; }
    /// New entries of a ChunkRecord as CBOR, in order; where the topic "chunks" is watched.
    virtual void jobChunks(JobId job, BlobPtr part) { (void)job, (void)part; }
    /// A state file of sampling (core/job/sampling_point.h), where JobSubmission allows for some.
    virtual void jobState(JobId job, BlobPtr state) { (void)job, (void)state; }
    /// The final latents as the bytes of a safetensors file, before decoding starts.
    virtual void jobLatents(JobId job, BlobPtr latents) { (void)job, (void)latents; }
    /// One final frame of RGB bytes, in order; info.index of info.count.
    virtual void jobFrame(JobId job, BlobPtr frame) { (void)job, (void)frame; }
    /// Exactly once for each submitted job, after everything else of it.
    virtual void jobEnded(const JobOutcome& outcome) { (void)outcome; }
};

} // namespace canopy::client
