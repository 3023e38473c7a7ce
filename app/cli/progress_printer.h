#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "core/studio/studio_snapshot.h"

namespace canopy::cli {

/// Tells how one job goes: words on standard error (one line that renews itself on a terminal, else a line
/// per finished unit), or JSON lines on standard output.
class ProgressPrinter {
public:
    ProgressPrinter(JobId job, bool json);
    ~ProgressPrinter(); ///< leaves the terminal's line

    /// Prints what is new in the snapshot.
    void show(const StudioSnapshot& snapshot);
    /// One line of its own: a note, a warning.
    void note(const std::string& text);

private:
    void showWorker(const StudioSnapshot& snapshot);
    void showProgress(const JobRow& row);
    void renewLine(const std::string& text);
    void leaveLine();

    const JobId m_job;
    const bool m_json;
    const bool m_terminal;
    std::size_t m_lineLength = 0;
    std::string m_lastLine;
    std::string m_workerWords;
    std::string m_waiting;
    std::size_t m_notesShown = 0;
    std::string m_state;
};

} // namespace canopy::cli
