#pragma once

// Private to core/evaluation.

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::evaluation {

/// Results on disk as they come, one JSON object a line after a head line that says what they belong to. A
/// half-written last line (a killed program) is dropped.
class LineJournal {
public:
    /// Opens or creates. An existing file must begin with `head`, else it is refused with `otherwise`.
    static Result<LineJournal> open(const std::filesystem::path& file, const Value& head,
                                    const std::string& otherwise);
    /// Only the complete lines behind `head`, of a file that another run may be writing.
    static Result<std::vector<Value>> read(const std::filesystem::path& file, const Value& head,
                                           const std::string& otherwise);
    ~LineJournal();
    LineJournal(LineJournal&& other) noexcept;
    LineJournal& operator=(LineJournal&&) = delete;

    /// What was there when it was opened.
    const std::vector<Value>& lines() const { return m_lines; }
    Result<void> add(const Value& line);

private:
    explicit LineJournal(std::filesystem::path file)
        : m_file(std::move(file)) {}

    int m_fd = -1;
    std::filesystem::path m_file;
    std::vector<Value> m_lines;
};

/// XXH64 of texts, one a line, in decimal: says in a head that lists are the same.
std::string hashOf(const std::vector<std::string>& texts);

} // namespace canopy::evaluation
