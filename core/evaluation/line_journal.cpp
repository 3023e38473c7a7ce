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

} // namespace

Result<LineJournal> LineJournal::open(const std::filesystem::path& file, const Value& head,
                                      const std::string& otherwise) {
    LineJournal journal(file);
    const std::string first = toJson(head) + '\n';
    std::error_code ec;
    std::uint64_t whole = 0; ///< bytes of complete lines
    if (std::filesystem::exists(file, ec)) {
        const auto text = readTextFile(file, kMaxBytes);
        if (!text)
            return text.error();
        if (!text->empty() && !text->starts_with(first))
            return makeError(ErrorCode::Mismatch, otherwise + ": " + file.string());
        for (std::size_t begin = 0; begin < text->size();) {
            const auto end = text->find('\n', begin);
            if (end == std::string::npos)
                break;
            auto line = parseJson(std::string_view(*text).substr(begin, end - begin));
            if (line && begin > 0)
                journal.m_lines.push_back(std::move(*line));
            begin = end + 1;
            whole = begin;
        }
    }
    journal.m_fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (journal.m_fd < 0 || ::ftruncate(journal.m_fd, static_cast<off_t>(whole)) != 0 ||
        ::lseek(journal.m_fd, 0, SEEK_END) < 0)
        return cannotWrite(file);
    if (whole == 0 && ::write(journal.m_fd, first.data(), first.size()) != static_cast<ssize_t>(first.size()))
        return cannotWrite(file);
    return journal;
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
