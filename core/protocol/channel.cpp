#include "core/protocol/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include "core/protocol/checksum.h"

namespace canopy::protocol {
namespace {

constexpr std::size_t kTelemetryBacklogBytes = std::size_t{1} << 20;
constexpr std::size_t kReadBytes = std::size_t{256} << 10;

void makeNonBlocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0) {
        ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

} // namespace

Channel::Channel(int readDescriptor, int writeDescriptor)
    : m_readFd(readDescriptor)
    , m_writeFd(writeDescriptor)
    , m_wakeFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    makeNonBlocking(m_readFd);
    makeNonBlocking(m_writeFd);
    m_writer = std::thread([this] { writeLoop(); });
}

Channel::~Channel() {
    {
        const std::lock_guard lock(m_mutex);
        m_closing = true;
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(m_wakeFd, &one, sizeof one);
    m_work.notify_all();
    m_drained.notify_all();
    m_writer.join();
    ::close(m_readFd);
    if (m_writeFd != m_readFd) {
        ::close(m_writeFd);
    }
    ::close(m_wakeFd);
}

Result<bool> Channel::receive(std::vector<Value>& messages) {
    // One read per call, so that a flood cannot keep the reading thread from its other duties.
    std::array<std::uint8_t, kReadBytes> buffer;
    const ssize_t got = ::read(m_readFd, buffer.data(), buffer.size());
    if (got == 0) {
        return false;
    }
    if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            return true;
        }
        return false; // ECONNRESET: the other side is gone
    }
    m_bytesIn += static_cast<std::uint64_t>(got);
    m_decoder.feed({buffer.data(), static_cast<std::size_t>(got)});
    while (true) {
        Value message;
        const Result<bool> whole = m_decoder.next(message);
        if (!whole) {
            return whole.error();
        }
        if (!*whole) {
            return true;
        }
        ++m_messagesIn;
        messages.push_back(std::move(message));
    }
}

Result<void> Channel::send(const Value& message, Importance importance) {
    Result<Frame> frame = encodeFrame(message);
    if (!frame) {
        return frame.error();
    }
    {
        const std::lock_guard lock(m_mutex);
        if (m_broken || m_closing) {
            return {};
        }
        if (importance == Importance::Telemetry && m_controlBytes > kTelemetryBacklogBytes) {
            ++m_dropped;
            return {};
        }
        m_controlBytes += frame->size();
        m_control.push_back(std::move(*frame));
    }
    m_work.notify_one();
    return {};
}

void Channel::sendBlob(BlobStart info, std::vector<std::uint8_t> content, bool newestWins) {
    info.bytes = content.size();
    info.hash = blobHash(content);
    {
        const std::lock_guard lock(m_mutex);
        if (m_broken || m_closing || content.empty()) {
            return;
        }
        info.blob = m_nextBlob++;
        m_blobBytes += content.size();
        const auto older = std::find_if(m_blobs.begin(), m_blobs.end(), [&](const PendingBlob& b) {
            return newestWins && !b.started && b.info.job == info.job && b.info.kind == info.kind;
        });
        if (older != m_blobs.end()) {
            m_blobBytes -= older->content.size();
            ++m_dropped;
            *older = PendingBlob{std::move(info), std::move(content)};
        } else {
            m_blobs.push_back(PendingBlob{std::move(info), std::move(content)});
        }
    }
    m_work.notify_one();
}

void Channel::dropBlobs(JobId job) {
    std::unique_lock lock(m_mutex);
    std::erase_if(m_blobs, [&](const PendingBlob& b) {
        if (b.info.job != job) {
            return false;
        }
        m_blobBytes -= b.content.size() - b.sent;
        return true;
    });
    m_drained.notify_all();
}

void Channel::addCredit(std::uint64_t bytes) {
    {
        const std::lock_guard lock(m_mutex);
        m_underWay -= std::min(bytes, m_underWay);
    }
    m_work.notify_one();
}

bool Channel::waitForBlobRoom(std::uint64_t bytes, std::stop_token stop) {
    std::unique_lock lock(m_mutex);
    m_drained.wait(lock, stop, [&] { return m_broken || m_closing || m_blobBytes <= bytes; });
    return !m_broken && !m_closing && m_blobBytes <= bytes;
}

bool Channel::hasBlobRoom(std::uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    return m_blobBytes <= bytes;
}

bool Channel::flush(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(m_mutex);
    const auto done = [&] { return m_broken || m_closing || (m_control.empty() && !m_writing); };
    return m_drained.wait_until(lock, deadline, done) && !m_broken && m_control.empty();
}

bool Channel::blobMaySend() const {
    if (m_blobs.empty()) {
        return false;
    }
    const PendingBlob& blob = m_blobs.front();
    const std::uint64_t chunk = std::min<std::uint64_t>(kBlobChunkBytes, blob.content.size() - blob.sent);
    return m_underWay + chunk <= kBlobWindowBytes;
}

Channel::Frame Channel::takeFrame() {
    if (!m_control.empty()) {
        Frame frame = std::move(m_control.front());
        m_control.pop_front();
        m_controlBytes -= frame.size();
        return frame;
    }
    PendingBlob& blob = m_blobs.front();
    if (!blob.started) {
        blob.started = true;
        return encodeFrame(toValue(WorkerMessage(blob.info))).value();
    }
    const std::size_t size = std::min<std::size_t>(kBlobChunkBytes, blob.content.size() - blob.sent);
    const auto first = blob.content.begin() + static_cast<std::ptrdiff_t>(blob.sent);
    BlobChunk chunk{blob.info.blob, blob.sent,
                    Value::Bytes(first, first + static_cast<std::ptrdiff_t>(size))};
    blob.sent += size;
    m_underWay += size;
    m_blobBytes -= size;
    if (blob.sent == blob.content.size()) {
        m_blobs.pop_front();
    }
    return encodeFrame(toValue(WorkerMessage(std::move(chunk)))).value();
}

void Channel::writeLoop() {
    // A write to a closed pipe must be an error of that write, not the end of the process.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);

    std::unique_lock lock(m_mutex);
    while (true) {
        m_work.wait(lock, [&] { return m_closing || !m_control.empty() || blobMaySend(); });
        if (m_closing) {
            return;
        }
        const Frame frame = takeFrame();
        m_writing = true;
        lock.unlock();
        const bool written = writeAll(frame);
        lock.lock();
        m_writing = false;
        if (!written) {
            m_broken = true;
            m_control.clear();
            m_blobs.clear();
            m_controlBytes = 0;
            m_blobBytes = 0;
            m_drained.notify_all();
            m_work.wait(lock, [&] { return m_closing; });
            return;
        }
        ++m_messagesOut;
        m_drained.notify_all();
    }
}

bool Channel::writeAll(const Frame& frame) {
    std::size_t done = 0;
    while (done < frame.size()) {
        const ssize_t wrote = ::write(m_writeFd, frame.data() + done, frame.size() - done);
        if (wrote > 0) {
            done += static_cast<std::size_t>(wrote);
            m_bytesOut += static_cast<std::uint64_t>(wrote);
            continue;
        }
        if (wrote < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return false;
        }
        std::array<pollfd, 2> waits = {{{m_writeFd, POLLOUT, 0}, {m_wakeFd, POLLIN, 0}}};
        ::poll(waits.data(), waits.size(), -1);
        if (waits[1].revents != 0) {
            return false;
        }
    }
    return true;
}

} // namespace canopy::protocol
