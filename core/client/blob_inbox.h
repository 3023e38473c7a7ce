#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/client/job_listener.h"
#include "core/protocol/blob_assembler.h"
#include "core/protocol/channel.h"

namespace canopy::client {

/// Puts the blobs of one worker start together and gives the worker its credit back: for previews, latents
/// and very large frames with each chunk, for frames when their last owner lets go. Private to core/client;
/// reader thread.
class BlobInbox {
public:
    explicit BlobInbox(std::weak_ptr<protocol::Channel> channel = {})
        : m_channel(std::move(channel)) {}

    Result<void> start(const protocol::BlobStart& info);
    /// The whole blob with its last chunk, null before.
    Result<BlobPtr> add(const protocol::BlobChunk& chunk);
    /// The job has ended: no more comes of its unfinished blob.
    void dropOf(JobId job);

private:
    void dropPartial();

    std::weak_ptr<protocol::Channel> m_channel; ///< gone when the worker is
    protocol::BlobAssembler m_assembler;
};

} // namespace canopy::client
