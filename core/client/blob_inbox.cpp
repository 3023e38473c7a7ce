#include "core/client/blob_inbox.h"

#include <utility>

namespace canopy::client {
namespace {

using namespace protocol;

/// Frames of this size keep their credit back until their owner lets go of them. A larger one could stop the
/// stream for ever, since it alone fills the window.
bool holdsCredit(const BlobStart& info) {
    return info.kind == "frame" && info.bytes <= kBlobWindowBytes / 2;
}

void giveCredit(const std::weak_ptr<Channel>& channel, std::uint64_t bytes) {
    if (const auto open = channel.lock()) {
        (void)open->send(toValue(ClientMessage(BlobCredit{bytes})));
    }
}

} // namespace

Result<void> BlobInbox::start(const BlobStart& info) {
    dropPartial();
    return m_assembler.start(info);
}

Result<BlobPtr> BlobInbox::add(const BlobChunk& chunk) {
    const BlobStart* current = m_assembler.current();
    const bool later = current != nullptr && holdsCredit(*current);
    if (!later) {
        giveCredit(m_channel, chunk.data.size());
    }
    BlobAssembler::Blob blob;
    const Result<bool> whole = m_assembler.add(chunk, blob);
    if (!whole) {
        return whole.error();
    }
    if (!*whole) {
        return BlobPtr();
    }
    const auto release = [channel = m_channel, later](const ReceivedBlob* b) {
        if (later) {
            giveCredit(channel, b->bytes.size());
        }
        delete b;
    };
    return BlobPtr(new ReceivedBlob{std::move(blob.info), std::move(blob.bytes)}, release);
}

void BlobInbox::dropOf(JobId job) {
    if (const BlobStart* current = m_assembler.current(); current != nullptr && current->job == job) {
        dropPartial();
    }
}

void BlobInbox::dropPartial() {
    if (const BlobStart* current = m_assembler.current();
        current != nullptr && holdsCredit(*current) && m_assembler.heldBytes() > 0) {
        giveCredit(m_channel, m_assembler.heldBytes());
    }
    m_assembler.abandon();
}

} // namespace canopy::client
