#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/protocol/session_file.h"
#include "core/protocol/session_format.h"

namespace canopy::protocol {
namespace {

using namespace session;

/// Kept free for the last record, the index's frame and the trailer.
constexpr std::uint64_t kReserveBytes = 4096;

} // namespace

Result<std::shared_ptr<SessionWriter>> SessionWriter::create(const std::filesystem::path& path,
                                                             SessionWriterOptions options) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return makeError(ErrorCode::Io, std::string("The recording cannot be created: ") +
                                            std::strerror(errno) +
                                            ". Choose another place. File: " + path.string());
    }
    std::shared_ptr<SessionWriter> writer(new SessionWriter(fd, path, options));
    std::vector<std::uint8_t> header(kFileMagic.begin(), kFileMagic.end());
    put(header, kSessionFormatVersion);
    put(header, std::uint32_t{0});
    if (::write(fd, header.data(), header.size()) != static_cast<ssize_t>(header.size())) {
        return makeError(ErrorCode::Io,
                         std::string("The recording cannot be written: ") + std::strerror(errno) +
                             ". Free some space or choose another place. File: " + path.string());
    }
    writer->m_offset = header.size();
    return writer;
}

SessionWriter::SessionWriter(int fd, std::filesystem::path path, SessionWriterOptions options)
    : m_fd(fd)
    , m_path(std::move(path))
    , m_options(options)
    , m_startedAt(steadySeconds()) {}

SessionWriter::~SessionWriter() {
    if (const Result<void> done = finish(); !done) {
        logWarning("session", done.error().message);
    }
    ::close(m_fd);
}

bool SessionWriter::keepsBlob(std::string_view kind) const {
    switch (m_options.level) {
    case SessionLevel::Off:
    case SessionLevel::Scalars:
        return false;
    case SessionLevel::Masks:
        return kind != "latents" && kind != "frame" && kind != "state";
    case SessionLevel::State:
        return true;
    }
    return false;
}

double SessionWriter::now() const {
    return steadySeconds() - m_startedAt;
}

std::uint64_t SessionWriter::bytesWritten() const {
    const std::lock_guard lock(m_mutex);
    return m_offset;
}

std::uint64_t SessionWriter::leftOut() const {
    const std::lock_guard lock(m_mutex);
    return m_leftOut;
}

void SessionWriter::message(double seconds, std::string_view topic, const Value& message) {
    if (m_options.level == SessionLevel::Off) {
        return;
    }
    Value record;
    record.set("t", seconds).set("topic", topic).set("message", message);
    const std::vector<std::uint8_t> payload = toCbor(record);
    const std::lock_guard lock(m_mutex);
    const std::uint64_t offset = m_offset;
    if (append(kMessageKind, {}, payload, true)) {
        const auto id =
            m_topics.try_emplace(std::string(topic), static_cast<std::uint32_t>(m_topics.size())).first;
        m_entries.push_back({offset, kMessageKind, id->second, seconds, 0});
    }
}

void SessionWriter::blob(std::string_view kind, std::uint64_t hash, std::span<const std::uint8_t> content) {
    if (!keepsBlob(kind)) {
        return;
    }
    const std::lock_guard lock(m_mutex);
    if (m_blobs.contains(hash)) {
        return;
    }
    std::vector<std::uint8_t> head;
    put(head, hash);
    const std::uint64_t offset = m_offset;
    if (append(kBlobKind, head, content, true)) {
        m_blobs.insert(hash);
        m_entries.push_back({offset, kBlobKind, 0, 0, hash});
    }
}

bool SessionWriter::append(std::uint32_t kind, std::span<const std::uint8_t> head,
                           std::span<const std::uint8_t> content, bool withinBudget) {
    if (m_finished || !m_outcome) {
        return false;
    }
    const std::uint64_t length = head.size() + content.size();
    const std::uint64_t indexBytes = (m_entries.size() + 1) * kIndexEntryBytes + kReserveBytes;
    const bool fits = m_offset + kRecordHeaderBytes + length + indexBytes <= m_options.budgetBytes;
    if (length > kMaxPayloadBytes || (withinBudget && !fits)) {
        ++m_leftOut;
        return false;
    }
    RecordHeader header{kind, static_cast<std::uint32_t>(length), crc32(content, crc32(head))};
    std::vector<std::uint8_t> bytes = encodeHeader(header);
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), content.begin(), content.end());
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t wrote = ::write(m_fd, bytes.data() + done, bytes.size() - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            m_outcome =
                makeError(ErrorCode::Io, std::string("The recording ended early: ") + std::strerror(errno) +
                                             ". Free some space. File: " + m_path.string());
            return false;
        }
        done += static_cast<std::size_t>(wrote);
    }
    m_offset += bytes.size();
    return true;
}

Result<void> SessionWriter::finish() {
    const std::lock_guard lock(m_mutex);
    if (m_finished) {
        return m_outcome;
    }
    if (m_leftOut > 0) {
        Value record;
        Value message;
        message.set("type", "recording_cut")
            .set("left_out", m_leftOut)
            .set("budget_bytes", m_options.budgetBytes);
        record.set("t", now()).set("topic", "recorder/recording_cut").set("message", message);
        const std::uint64_t offset = m_offset;
        if (append(kMessageKind, {}, toCbor(record), false)) {
            const auto id =
                m_topics.try_emplace("recorder/recording_cut", static_cast<std::uint32_t>(m_topics.size()))
                    .first;
            m_entries.push_back({offset, kMessageKind, id->second, record["t"].asDouble(), 0});
        }
    }
    std::vector<std::uint8_t> entries;
    entries.reserve(m_entries.size() * kIndexEntryBytes);
    for (const Entry& e : m_entries) {
        put(entries, e.offset), put(entries, e.kind), put(entries, e.topic);
        put(entries, std::bit_cast<std::uint64_t>(e.seconds)), put(entries, e.hash);
    }
    Value::Array topics(m_topics.size());
    for (const auto& [name, id] : m_topics) {
        topics[id] = name;
    }
    Value index;
    index.set("topics", std::move(topics)).set("entries", std::move(entries));
    const std::uint64_t indexOffset = m_offset;
    append(kIndexKind, {}, toCbor(index), false);
    m_finished = true;
    if (!m_outcome) {
        return m_outcome;
    }
    std::vector<std::uint8_t> trailer;
    put(trailer, indexOffset);
    trailer.insert(trailer.end(), kTrailerMagic.begin(), kTrailerMagic.end());
    if (::write(m_fd, trailer.data(), trailer.size()) != static_cast<ssize_t>(trailer.size()) ||
        ::fsync(m_fd) != 0) {
        m_outcome =
            makeError(ErrorCode::Io, std::string("The recording's index could not be written: ") +
                                         std::strerror(errno) +
                                         ". It opens all the same, more slowly. File: " + m_path.string());
    }
    m_offset += trailer.size();
    return m_outcome;
}

} // namespace canopy::protocol
