#include <algorithm>
#include <array>
#include <string>

#include "core/protocol/session_file.h"
#include "core/protocol/session_format.h"

namespace canopy::protocol {
namespace {

using namespace session;

Error damaged(std::string_view what, std::uint64_t offset, const ReadOnlyFile& file) {
    return makeError(ErrorCode::Malformed,
                     "A record of the recording is damaged (" + std::string(what) + ") at byte " +
                         std::to_string(offset) +
                         "; the others can still be read. File: " + file.path().string());
}

} // namespace

SessionReader::SessionReader(ReadOnlyFile file)
    : m_file(std::move(file)) {}

Result<SessionReader> SessionReader::open(const std::filesystem::path& path) {
    Result<ReadOnlyFile> file = ReadOnlyFile::open(path);
    if (!file) {
        return file.error();
    }
    std::array<std::uint8_t, kHeaderBytes> header{};
    if (file->size() < header.size() || !file->read(0, header) ||
        std::memcmp(header.data(), kFileMagic.data(), kFileMagic.size()) != 0) {
        return makeError(ErrorCode::Malformed,
                         "This is no Canopy recording: its first bytes are not those of a "
                         ".canopy file. File: " +
                             path.string());
    }
    if (const auto version = get<std::uint32_t>(&header[8]);
        version == 0 || version > kSessionFormatVersion) {
        return makeError(ErrorCode::Unsupported,
                         "The recording has format version " + std::to_string(version) +
                             "; this program reads versions up to " + std::to_string(kSessionFormatVersion) +
                             ". Open it with a newer Canopy. File: " + path.string());
    }
    SessionReader reader(std::move(*file));
    if (!reader.readIndex()) {
        reader.scan();
    }
    return reader;
}

Result<std::vector<std::uint8_t>> SessionReader::payload(std::uint64_t offset, std::uint32_t kind) const {
    std::array<std::uint8_t, kRecordHeaderBytes> bytes{};
    if (offset < kHeaderBytes || offset > m_file.size() || m_file.size() - offset < bytes.size()) {
        return damaged("outside the file", offset, m_file);
    }
    if (const Result<void> read = m_file.read(offset, bytes); !read) {
        return read.error();
    }
    const std::optional<RecordHeader> header = decodeHeader(bytes);
    if (!header || header->kind != kind) {
        return damaged("its header", offset, m_file);
    }
    if (header->length > m_file.size() - offset - bytes.size()) {
        return damaged("the file ends within it", offset, m_file);
    }
    std::vector<std::uint8_t> out(header->length);
    if (const Result<void> read = m_file.read(offset + bytes.size(), out); !read) {
        return read.error();
    }
    if (crc32(out) != header->payloadCrc) {
        return damaged("its checksum", offset, m_file);
    }
    return out;
}

bool SessionReader::readIndex() {
    if (m_file.size() < kHeaderBytes + kTrailerBytes) {
        return false;
    }
    std::array<std::uint8_t, kTrailerBytes> trailer{};
    if (!m_file.read(m_file.size() - trailer.size(), trailer) ||
        std::memcmp(&trailer[8], kTrailerMagic.data(), kTrailerMagic.size()) != 0) {
        return false;
    }
    const auto indexOffset = get<std::uint64_t>(trailer.data());
    const Result<std::vector<std::uint8_t>> bytes = payload(indexOffset, kIndexKind);
    if (!bytes) {
        return false;
    }
    const Result<Value> index = parseCbor(*bytes, kIndexLimits);
    if (!index) {
        return false;
    }
    const Value::Array& topics = (*index)["topics"].asArray();
    const Value::Bytes& entries = (*index)["entries"].asBytes();
    if (entries.size() % kIndexEntryBytes != 0) {
        return false;
    }
    std::vector<Entry> messages;
    std::map<std::uint64_t, std::uint64_t> blobs;
    for (std::size_t at = 0; at < entries.size(); at += kIndexEntryBytes) {
        const std::uint8_t* e = &entries[at];
        const auto offset = get<std::uint64_t>(e);
        const auto kind = get<std::uint32_t>(e + 8);
        const auto topic = get<std::uint32_t>(e + 12);
        if (offset >= indexOffset || (kind == kMessageKind && topic >= topics.size())) {
            return false;
        }
        if (kind == kMessageKind) {
            messages.push_back(
                {std::bit_cast<double>(get<std::uint64_t>(e + 16)), topics[topic].asString(), offset});
        } else if (kind == kBlobKind) {
            blobs.try_emplace(get<std::uint64_t>(e + 24), offset);
        }
    }
    m_entries = std::move(messages);
    m_blobs = std::move(blobs);
    return true;
}

void SessionReader::scan() {
    m_indexRebuilt = true;
    std::uint64_t at = kHeaderBytes;
    bool inDamage = false;
    std::array<std::uint8_t, kRecordHeaderBytes> head{};
    std::vector<std::uint8_t> window;
    while (m_file.size() - at >= kRecordHeaderBytes && m_file.read(at, head)) {
        const std::optional<RecordHeader> header = decodeHeader(head);
        if (!header) {
            m_damaged += inDamage ? 0 : 1;
            inDamage = true;
            window.resize(std::min<std::uint64_t>(m_file.size() - at, std::uint64_t{64} << 10));
            if (!m_file.read(at, window)) {
                break;
            }
            const auto next =
                std::search(window.begin() + 1, window.end(), kRecordMark.begin(), kRecordMark.end());
            // The mark may straddle the window's end: keep its last three bytes for the next round.
            at += next != window.end() ? static_cast<std::uint64_t>(next - window.begin())
                                       : std::max<std::uint64_t>(window.size() - 3, 1);
            continue;
        }
        inDamage = false;
        const std::uint64_t end = at + kRecordHeaderBytes + header->length;
        const Result<std::vector<std::uint8_t>> bytes = payload(at, header->kind);
        if (!bytes) {
            ++m_damaged;
            if (end > m_file.size()) {
                at += 1; // cut short, or its header is a chance match inside damaged bytes
                inDamage = true;
            } else {
                at = end;
            }
            continue;
        }
        if (header->kind == kMessageKind) {
            const Result<Value> record = parseCbor(*bytes, kMessageLimits);
            if (record && (*record)["topic"].isString()) {
                m_entries.push_back({(*record)["t"].asDouble(), (*record)["topic"].asString(), at});
            } else {
                ++m_damaged;
            }
        } else if (header->kind == kBlobKind && bytes->size() >= 8) {
            m_blobs.try_emplace(get<std::uint64_t>(bytes->data()), at);
        }
        at = end;
    }
    if (at < m_file.size() && m_file.size() - at != kTrailerBytes && !inDamage) {
        ++m_damaged;
    }
}

Result<Value> SessionReader::message(std::size_t index) const {
    if (index >= m_entries.size()) {
        return makeError(ErrorCode::InvalidArgument, "The recording has " + std::to_string(m_entries.size()) +
                                                         " messages; number " + std::to_string(index) +
                                                         " was asked for");
    }
    const std::uint64_t offset = m_entries[index].offset;
    const Result<std::vector<std::uint8_t>> bytes = payload(offset, kMessageKind);
    if (!bytes) {
        return bytes.error();
    }
    Result<Value> record = parseCbor(*bytes, kMessageLimits);
    if (!record) {
        return damaged(record.error().message, offset, m_file);
    }
    return (*record)["message"];
}

Result<std::vector<std::uint8_t>> SessionReader::blob(std::uint64_t hash) const {
    const auto it = m_blobs.find(hash);
    if (it == m_blobs.end()) {
        return makeError(ErrorCode::NotFound,
                         "The recording does not hold this blob: its level or byte budget left "
                         "it out. File: " +
                             m_file.path().string());
    }
    Result<std::vector<std::uint8_t>> bytes = payload(it->second, kBlobKind);
    if (!bytes) {
        return bytes;
    }
    if (bytes->size() < 8 || get<std::uint64_t>(bytes->data()) != hash) {
        return damaged("another blob stands there", it->second, m_file);
    }
    bytes->erase(bytes->begin(), bytes->begin() + 8);
    if (blobHash(*bytes) != hash) {
        return damaged("the blob's hash", it->second, m_file);
    }
    return bytes;
}

} // namespace canopy::protocol
