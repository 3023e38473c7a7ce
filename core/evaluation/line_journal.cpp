#include "core/evaluation/line_journal.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/protocol/checksum.h"

namespace canopy::evaluation {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{2} << 30;

Error cannotWrite(const std::filesystem::path& file) {
    return makeError(ErrorCode::Io, "The results cannot be kept (" + std::string(std::strerror(errno)) +
                                        "): " + file.string());
}

struct Lines {
    std::vector<Value> lines;
    std::uint64_t bytes = 0; ///< of complete lines, the head's included
};

Result<Lines> linesOf(const std::filesystem::path& file, const Value& head, const std::string& otherwise) {
    const auto text = readTextFile(file, kMaxBytes);
    if (!text)
        return text.error();
    if (!text->empty() && !text->starts_with(toJson(head) + '\n'))
        return makeError(ErrorCode::Mismatch, otherwise + ": " + file.string());
    Lines out;
    for (std::size_t begin = 0; begin < text->size();) {
        const auto end = text->find('\n', begin);
        if (end == std::string::npos)
            break;
        auto line = parseJson(std::string_view(*text).substr(begin, end - begin));
        if (line && begin > 0)
            out.lines.push_back(std::move(*line));
        begin = end + 1;
        out.bytes = begin;
    }
    return out;
}

} // namespace

Result<LineJournal> LineJournal::open(const std::filesystem::path& file, const Value& head,
                                      const std::string& otherwise) {
    LineJournal journal(file);
    std::error_code ec;
    std::uint64_t whole = 0; ///< bytes of complete lines
    if (std::filesystem::exists(file, ec)) {
        auto lines = linesOf(file, head, otherwise);
        if (!lines)
            return lines.error();
        journal.m_lines = std::move(lines->lines);
        whole = lines->bytes;
    }
    journal.m_fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (journal.m_fd < 0 || ::ftruncate(journal.m_fd, static_cast<off_t>(whole)) != 0 ||
        ::lseek(journal.m_fd, 0, SEEK_END) < 0)
        return cannotWrite(file);
    const std::string first = toJson(head) + '\n';
    if (whole == 0 && ::write(journal.m_fd, first.data(), first.size()) != static_cast<ssize_t>(first.size()))
        return cannotWrite(file);
    return journal;
}

Result<std::vector<Value>> LineJournal::read(const std::filesystem::path& file, const Value& head,
                                             const std::string& otherwise) {
    auto lines = linesOf(file, head, otherwise);
    if (!lines)
        return lines.error();
    return std::move(lines->lines);
}

LineJournal::LineJournal(LineJournal&& other) noexcept
    : m_fd(std::exchange(other.m_fd, -1))
    , m_file(std::move(other.m_file))
    , m_lines(std::move(other.m_lines)) {}

LineJournal::~LineJournal() {
    if (m_fd >= 0)
        ::close(m_fd);
}

Result<void> LineJournal::add(const Value& line) {
    const std::string text = toJson(line) + '\n';
    if (::write(m_fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return cannotWrite(m_file);
    return {};
}

std::string hashOf(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts)
        all += text + '\n';
    return std::to_string(
        protocol::blobHash(std::span(reinterpret_cast<const std::uint8_t*>(all.data()), all.size())));
}

} // namespace canopy::evaluation
