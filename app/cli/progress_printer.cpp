#include "app/cli/progress_printer.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/cli/output.h"
#include "core/base/value_codec.h"

namespace canopy::cli {
namespace {

void printJson(const Value& value) {
    std::printf("%s\n", toJson(value).c_str());
    std::fflush(stdout);
}

/// "Step 7 of 30, block 12 of 40, 1.2 s per step, 28 s left (+-3)".
std::string progressText(const JobRow& row) {
    const JobProgress& p = *row.progress;
    std::string text = row.words;
    if (p.stage == protocol::Stage::Denoise && p.unitSeconds > 0) {
        text += ", " + secondsText(p.unitSeconds) + " per step";
    }
    if (p.remainingSeconds > 0) {
        text += ", about " + secondsText(p.remainingSeconds) + " left";
    }
    if (p.peakBytes > 0) {
        text += ", " + bytesText(p.peakBytes);
    }
    return text;
}

} // namespace

ProgressPrinter::ProgressPrinter(JobId job, bool json)
    : m_job(job)
    , m_json(json)
    , m_terminal(::isatty(STDERR_FILENO) != 0) {}

ProgressPrinter::~ProgressPrinter() {
    leaveLine();
}

void ProgressPrinter::show(const StudioSnapshot& snapshot) {
    for (; m_notesShown < snapshot.notes.size(); ++m_notesShown) {
        note(snapshot.notes[m_notesShown]);
    }
    showWorker(snapshot);
    const JobRow* row = snapshot.find(m_job);
    if (row == nullptr) {
        return;
    }
    if (row->record.state == JobState::Queued && !snapshot.otherProgram.empty() &&
        snapshot.otherProgram != m_waiting) {
        m_waiting = snapshot.otherProgram;
        note(m_waiting);
    }
    if (const std::string state(jobStateName(row->record.state)); state != m_state) {
        m_state = state;
        if (m_json) {
            Value v;
            v.set("event", "state").set("job", m_job).set("state", m_state);
            printJson(v);
        }
    }
    if (row->progress) {
        showProgress(*row);
    }
}

void ProgressPrinter::showWorker(const StudioSnapshot& snapshot) {
    if (snapshot.worker.words == m_workerWords) {
        return;
    }
    m_workerWords = snapshot.worker.words;
    if (m_json) {
        Value v;
        v.set("event", "worker")
            .set("state", workerStateName(snapshot.worker.state))
            .set("words", m_workerWords);
        printJson(v);
    } else if (snapshot.worker.state == WorkerState::NotResponding ||
               snapshot.worker.state == WorkerState::Restarting ||
               snapshot.worker.state == WorkerState::Stopped) {
        note("Engine: " + m_workerWords);
    }
}

void ProgressPrinter::showProgress(const JobRow& row) {
    const JobProgress& p = *row.progress;
    if (m_json) {
        Value v;
        v.set("event", "progress").set("job", m_job).set("stage", protocol::stageName(p.stage));
        v.set("unit", p.unit).set("units", p.units).set("block", p.block).set("blocks", p.blocks);
        v.set("fraction", std::round(p.fraction * 10000) / 10000).set("unit_seconds", p.unitSeconds);
        const std::string key = toJson(v);
        if (key == m_lastLine) {
            return;
        }
        m_lastLine = key;
        v.set("elapsed_seconds", p.elapsedSeconds).set("remaining_seconds", p.remainingSeconds);
        v.set("remaining_spread", p.remainingSpread);
        v.set("peak_bytes", p.peakBytes).set("planned_bytes", p.plannedBytes);
        printJson(v);
        return;
    }
    if (m_terminal) {
        renewLine(progressText(row));
        return;
    }
    // A file or pipe gets a line per finished unit, not one per block.
    const std::string key = std::string(protocol::stageName(p.stage)) + std::to_string(p.unit);
    if (key != m_lastLine) {
        m_lastLine = key;
        std::fprintf(stderr, "%s\n", printable(progressText(row)).c_str());
    }
}

void ProgressPrinter::note(const std::string& text) {
    if (m_json) {
        Value v;
        v.set("event", "note").set("text", text);
        printJson(v);
        return;
    }
    leaveLine();
    std::fprintf(stderr, "%s\n", printable(text).c_str());
}

void ProgressPrinter::renewLine(const std::string& text) {
    const std::string line = printable(text);
    if (line == m_lastLine) {
        return;
    }
    m_lastLine = line;
    const std::string padding(m_lineLength > line.size() ? m_lineLength - line.size() : 0, ' ');
    std::fprintf(stderr, "\r%s%s", line.c_str(), padding.c_str());
    std::fflush(stderr);
    m_lineLength = line.size();
}

void ProgressPrinter::leaveLine() {
    if (m_lineLength > 0) {
        std::fputc('\n', stderr);
        m_lineLength = 0;
        m_lastLine.clear();
    }
}

} // namespace canopy::cli
