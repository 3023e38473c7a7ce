#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/protocol/codec.h"
#include "core/protocol/messages.h"

namespace canopy::protocol {

/// Bytes of blob content in one chunk: small enough that a control message never waits long behind one, and
/// below kMaxMessageBytes with its frame.
inline constexpr std::size_t kBlobChunkBytes = std::size_t{512} << 10;
/// Blob bytes that may be under way before the other side returns credit.
inline constexpr std::uint64_t kBlobWindowBytes = std::uint64_t{32} << 20;

/// One byte stream each way on any two descriptors: a socketpair, stdin and stdout over ssh.
///
/// A thread of its own writes: control messages always before blob chunks, blobs one after another in order,
/// chunks only while credit lasts. send* may be called from any thread and never block; receive() belongs to
/// one thread.
class Channel {
public:
    enum class Importance : std::uint8_t {
        Event,    ///< never dropped
        Telemetry ///< dropped and counted while 1 MiB of messages wait
    };

    /// Takes both descriptors over and makes them non-blocking; they may be the same one.
    Channel(int readDescriptor, int writeDescriptor);
    /// Drops what is not written yet; see flush().
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // ---- reading, one thread

    /// For poll().
    int readDescriptor() const { return m_readFd; }
    /// Appends the messages that have arrived, without waiting. False at the end of the stream; Malformed
    /// when the other side sent something unreadable.
    Result<bool> receive(std::vector<Value>& messages);

    // ---- writing, any thread

    /// Refused when the message is too large; nothing is said when the stream is already broken (the reader
    /// sees that).
    Result<void> send(const Value& message, Importance importance = Importance::Event);
    /// Queues a blob; `info.blob`, `bytes` and `hash` are filled here. With `newestWins`, a blob of the same
    /// job and kind that has not been started is replaced and counted as dropped.
    void sendBlob(BlobStart info, std::vector<std::uint8_t> content, bool newestWins);
    /// Drops the blobs of a job, also the rest of one under way. Nothing of them is written after this
    /// returns.
    void dropBlobs(JobId job);
    void addCredit(std::uint64_t bytes);
    /// Waits until at most `bytes` of blobs wait to be written; false when stopped or the stream is broken.
    bool waitForBlobRoom(std::uint64_t bytes, std::stop_token stop);
    /// Whether at most `bytes` of blobs wait to be written: telemetry that would wait longer is left out.
    bool hasBlobRoom(std::uint64_t bytes);
    void countDropped() { ++m_dropped; } ///< telemetry that the caller left out
    /// Waits until all control messages are handed to the system; false when the deadline passed or it is
    /// broken.
    bool flush(std::chrono::steady_clock::time_point deadline);

    std::uint64_t bytesIn() const { return m_bytesIn; }
    std::uint64_t bytesOut() const { return m_bytesOut; }
    std::uint64_t messagesIn() const { return m_messagesIn; }
    std::uint64_t messagesOut() const { return m_messagesOut; }
    std::uint64_t dropped() const { return m_dropped; }

private:
    struct PendingBlob {
        BlobStart info;
        std::vector<std::uint8_t> content;
        std::uint64_t sent = 0;
        bool started = false;
    };
    using Frame = std::vector<std::uint8_t>;

    void writeLoop();
    bool blobMaySend() const;          ///< with m_mutex
    Frame takeFrame();                 ///< with m_mutex: the next control message, blob start or chunk
    bool writeAll(const Frame& frame); ///< without m_mutex

    const int m_readFd;
    const int m_writeFd;
    int m_wakeFd = -1; ///< eventfd: ends a wait for room in the stream when the channel is taken down

    FrameDecoder m_decoder; ///< reading thread

    std::mutex m_mutex;
    std::condition_variable m_work;        ///< the writer waits here
    std::condition_variable_any m_drained; ///< flush and waitForBlobRoom wait here
    std::deque<Frame> m_control;
    std::size_t m_controlBytes = 0;
    std::deque<PendingBlob> m_blobs;
    std::uint64_t m_blobBytes = 0; ///< not yet written
    std::uint64_t m_underWay = 0;  ///< written and not yet credited
    std::uint64_t m_nextBlob = 1;
    bool m_writing = false;
    bool m_broken = false;
    bool m_closing = false;

    std::atomic<std::uint64_t> m_bytesIn = 0;
    std::atomic<std::uint64_t> m_bytesOut = 0;
    std::atomic<std::uint64_t> m_messagesIn = 0;
    std::atomic<std::uint64_t> m_messagesOut = 0;
    std::atomic<std::uint64_t> m_dropped = 0;

    std::thread m_writer; ///< last: starts when everything else is there
};

} // namespace canopy::protocol
