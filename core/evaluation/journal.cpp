#include "core/evaluation/journal.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>

#include "core/base/value_codec.h"
#include "core/protocol/checksum.h"

namespace canopy::evaluation {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{2} << 30;

/// What the answers depend on, in one line.
std::string headOf(const EvaluationOptions& options) {
    AskRequest base = options.base;
    base.threads = 0; // may differ between the slices of a run
    Value arms{Value::Array{}};
    for (const Arm& arm : options.arms)
        arms.push(toValue(arm.tokens));
    std::string questions;
    for (const QuestionRow& row : options.rows) {
        questions += row.video.filename().string() + '\n' + row.question + '\n' + row.answer + '\n';
        for (const std::string& option : row.options)
            questions += option + '\n';
    }
    Value head;
    head.set("version", 1).set("settings", toValue(base)).set("arms", std::move(arms));
    head.set("questions", static_cast<std::int64_t>(options.rows.size()));
    head.set("questions_hash",
             std::to_string(protocol::blobHash(
                 std::span(reinterpret_cast<const std::uint8_t*>(questions.data()), questions.size()))));
    return toJson(head);
}

Error cannotWrite(const std::filesystem::path& file) {
    return makeError(ErrorCode::Io, "The answers cannot be kept (" + std::string(std::strerror(errno)) +
                                        "): " + file.string());
}

} // namespace

Result<Journal> Journal::open(const EvaluationOptions& options) {
    Journal journal(options.arms.size(), options.rows.size());
    journal.m_file = options.journal;
    const std::string head = headOf(options) + '\n';
    std::error_code ec;
    std::uint64_t whole = 0; ///< bytes of complete lines
    if (std::filesystem::exists(options.journal, ec)) {
        const auto text = readTextFile(options.journal, kMaxBytes);
        if (!text)
            return text.error();
        if (!text->empty() && !text->starts_with(head))
            return makeError(ErrorCode::Mismatch,
                             "Answers of other questions or settings lie in the way; move the file away or "
                             "choose another --out: " +
                                 options.journal.string());
        for (std::size_t begin = 0; begin < text->size();) {
            const auto end = text->find('\n', begin);
            if (end == std::string::npos)
                break;
            const auto line = parseJson(std::string_view(*text).substr(begin, end - begin));
            begin = end + 1;
            whole = begin;
            if (!line || !line->contains("arm"))
                continue;
            const auto arm = static_cast<std::size_t>((*line)["arm"].asInt());
            const auto row = static_cast<std::size_t>((*line)["row"].asInt());
            if (arm < options.arms.size() && row < options.rows.size())
                journal.take(arm, row, armAnswerFromValue((*line)["answer"]));
        }
    }
    journal.m_fd = ::open(options.journal.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (journal.m_fd < 0 || ::ftruncate(journal.m_fd, static_cast<off_t>(whole)) != 0 ||
        ::lseek(journal.m_fd, 0, SEEK_END) < 0)
        return cannotWrite(options.journal);
    if (whole == 0 && ::write(journal.m_fd, head.data(), head.size()) != static_cast<ssize_t>(head.size()))
        return cannotWrite(options.journal);
    return journal;
}

Journal::Journal(Journal&& other) noexcept
    : m_fd(std::exchange(other.m_fd, -1))
    , m_file(std::move(other.m_file))
    , m_rows(other.m_rows)
    , m_answered(other.m_answered)
    , m_answers(std::move(other.m_answers)) {}

Journal::~Journal() {
    if (m_fd >= 0)
        ::close(m_fd);
}

void Journal::take(std::size_t arm, std::size_t row, ArmAnswer answer) {
    auto& place = m_answers[arm * m_rows + row];
    m_answered += place ? 0 : 1;
    place = std::move(answer);
}

Result<void> Journal::add(std::size_t arm, std::size_t row, ArmAnswer answer) {
    Value line;
    line.set("arm", static_cast<std::int64_t>(arm)).set("row", static_cast<std::int64_t>(row));
    line.set("answer", toValue(answer));
    const std::string text = toJson(line) + '\n';
    if (::write(m_fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return cannotWrite(m_file);
    take(arm, row, std::move(answer));
    return {};
}

} // namespace canopy::evaluation
