#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/files.h"
#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::protocol {

// The session file (.canopy). All numbers little-endian.
//
//   header   "CANOPY\r\n"  version u32  reserved u32
//   record   "CREC"  kind u32  length u32  CRC of the 8 bytes before  CRC of the payload   payload...
//   ...      kind 1 message: CBOR map {t, topic, message}
//            kind 2 blob:    XXH64 u64, content
//   index    a record of kind 3: CBOR map {topics, entries: bytes, 32 per record}
//   trailer  offset of the index record u64  "CANOPYIX"
//
// Index and trailer are written by finish(). Without them, or when they do not agree with the file, the
// reader scans; a damaged record costs that record only, since the next one is found by its mark and header
// CRC.

inline constexpr std::uint32_t kSessionFormatVersion = 1;

/// What a recording keeps: nothing; messages; also previews and bitmaps; also latents, states and
/// final frames.
enum class SessionLevel : std::uint8_t { Off, Scalars, Masks, State };

struct SessionWriterOptions {
    SessionLevel level = SessionLevel::Masks;
    /// The file stays below this, index included; what does not fit is counted and said in the last record.
    std::uint64_t budgetBytes = std::uint64_t{512} << 20;
};

/// Thread-safe. Each record is handed to the system at once, so that a crash loses at most the last one.
class SessionWriter {
public:
    static Result<std::shared_ptr<SessionWriter>> create(const std::filesystem::path& path,
                                                         SessionWriterOptions options = {});
    ~SessionWriter(); ///< finish(), its error in the log
    SessionWriter(const SessionWriter&) = delete;
    SessionWriter& operator=(const SessionWriter&) = delete;

    SessionLevel level() const { return m_options.level; }
    /// Whether blobs of this kind ("preview", "latents", ...) are kept at this level.
    bool keepsBlob(std::string_view kind) const;

    /// `seconds` since the recording began; `topic` is "client/start_job", "worker/progress", ...
    void message(double seconds, std::string_view topic, const Value& message);
    /// Stored once per hash, whatever number of messages name it.
    void blob(std::string_view kind, std::uint64_t hash, std::span<const std::uint8_t> content);

    /// Seconds since create(): the time to record with.
    double now() const;
    std::uint64_t bytesWritten() const;
    std::uint64_t leftOut() const; ///< records that the budget had no room for

    /// Writes index and trailer and makes them durable; records after it are ignored. Says the first write
    /// error of the whole recording.
    Result<void> finish();

private:
    struct Entry {
        std::uint64_t offset = 0;
        std::uint32_t kind = 0;
        std::uint32_t topic = 0;
        double seconds = 0;
        std::uint64_t hash = 0;
    };
    SessionWriter(int fd, std::filesystem::path path, SessionWriterOptions options);
    bool append(std::uint32_t kind, std::span<const std::uint8_t> head, std::span<const std::uint8_t> content,
                bool withinBudget);

    mutable std::mutex m_mutex;
    int m_fd = -1;
    const std::filesystem::path m_path;
    const SessionWriterOptions m_options;
    const double m_startedAt;
    std::uint64_t m_offset = 0;
    std::uint64_t m_leftOut = 0;
    std::vector<Entry> m_entries;
    std::map<std::string, std::uint32_t, std::less<>> m_topics;
    std::set<std::uint64_t> m_blobs;
    bool m_finished = false;
    Result<void> m_outcome;
};

/// Random access to a recording. Never trusts the file: a damaged record is an error of that record.
/// Const functions are thread-safe.
class SessionReader {
public:
    struct Entry {
        double seconds = 0;
        std::string topic;
        std::uint64_t offset = 0; ///< of the record
    };

    /// Malformed when the header is no session file's, Unsupported for a newer format version.
    static Result<SessionReader> open(const std::filesystem::path& path);

    /// Message records in the order of the file.
    const std::vector<Entry>& entries() const { return m_entries; }
    Result<Value> message(std::size_t index) const;
    bool hasBlob(std::uint64_t hash) const { return m_blobs.contains(hash); }
    Result<std::vector<std::uint8_t>> blob(std::uint64_t hash) const;

    bool indexRebuilt() const { return m_indexRebuilt; }
    /// Places where a scan met bytes that are no whole record (a file cut short counts as one).
    std::size_t damagedPlaces() const { return m_damaged; }

private:
    explicit SessionReader(ReadOnlyFile file);
    bool readIndex();
    void scan();
    Result<std::vector<std::uint8_t>> payload(std::uint64_t offset, std::uint32_t kind) const;

    ReadOnlyFile m_file;
    std::vector<Entry> m_entries;
    std::map<std::uint64_t, std::uint64_t> m_blobs; ///< hash to record offset
    bool m_indexRebuilt = false;
    std::size_t m_damaged = 0;
};

} // namespace canopy::protocol
