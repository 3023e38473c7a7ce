#include "core/studio/studio_words.h"

#include <algorithm>

#include "core/base/clock.h"

namespace canopy {
namespace {

constexpr std::size_t kTitleBytes = 72;

std::string of(std::string_view what, int unit, int units) {
    std::string text(what);
    if (units > 0)
        text += " " + std::to_string(unit) + " of " + std::to_string(units);
    return text;
}

std::string progressWords(const JobProgress& p) {
    if (p.stopping)
        return "Stopping";
    if (p.pausing)
        return "Pausing";
    switch (p.stage) {
    case protocol::Stage::Load:
        return "Loading the model";
    case protocol::Stage::Text:
        return "Reading the prompt";
    case protocol::Stage::Denoise:
        if (p.chunks > 0)
            return of("Chunk", p.chunk + 1, p.chunks) + ", " +
                   of("step", std::min(p.chunkStep + 1, p.chunkSteps), p.chunkSteps);
        // While unit steps are finished, the next is under way.
        return of("Step", p.units > 0 ? std::min(p.unit + 1, p.units) : p.unit, p.units);
    case protocol::Stage::Decode:
        return of("Decoding", p.unit, p.units);
    case protocol::Stage::Encode:
        return "Writing the clip";
    case protocol::Stage::Vision:
        return of("Looking at frame", p.units > 0 ? std::min(p.unit + 1, p.units) : p.unit, p.units);
    case protocol::Stage::Select:
        return "Choosing tokens";
    case protocol::Stage::Prefill:
        return "Reading the question";
    case protocol::Stage::Answer:
        return "Answering";
    case protocol::Stage::Calibrate:
        return of("Measuring", p.unit, p.units);
    }
    return {};
}

} // namespace

std::string jobTitle(std::string_view prompt) {
    std::string title;
    bool space = false;
    for (const char c : prompt) {
        if (c == ' ' || static_cast<unsigned char>(c) < 0x20) {
            space = !title.empty();
            continue;
        }
        if (space)
            title += ' ';
        space = false;
        title += c;
        if (title.size() > kTitleBytes + 4)
            break;
    }
    if (title.size() <= kTitleBytes)
        return title;
    std::size_t cut = title.rfind(' ', kTitleBytes);
    if (cut == std::string::npos || cut < kTitleBytes / 2) {
        cut = kTitleBytes;
        while (cut > 0 && (static_cast<unsigned char>(title[cut]) & 0xC0) == 0x80)
            --cut; // never inside a character
    }
    return title.substr(0, cut) + "\u2026";
}

std::string askTitle(const AskRequest& request) {
    return request.question.empty()
               ? "Tokens of " + std::filesystem::path(request.videoPath).filename().string()
               : request.question;
}

std::string jobWords(const JobRecord& job, const JobProgress* progress, bool queuePaused) {
    switch (job.state) {
    case JobState::Queued:
        return queuePaused && !job.target.reserved ? "Waiting, the queue is paused" : "Waiting";
    case JobState::Running:
    case JobState::Encoding:
        return progress ? progressWords(*progress) : "In another Canopy program";
    case JobState::Done:
        return "Done";
    case JobState::Failed:
        return "Failed: " + job.sentence;
    case JobState::Cancelled:
        return "Cancelled";
    case JobState::Interrupted:
        return "Interrupted: " + job.sentence;
    case JobState::Quarantined:
        return job.sentence;
    case JobState::Paused:
        return job.sentence.empty() ? "Paused" : job.sentence;
    }
    return {};
}

WorkerView workerView(const client::ClientSnapshot& s, bool started) {
    WorkerView v;
    const client::WorkerState& w = s.worker;
    switch (w.status) {
    case client::WorkerStatus::Starting:
        v.state = WorkerState::Starting;
        v.words = "Starting";
        break;
    case client::WorkerStatus::Ready:
        v.state = WorkerState::Ready;
        v.words = "Ready";
        break;
    case client::WorkerStatus::Busy:
        v.state = WorkerState::Busy;
        v.words = "Working";
        break;
    case client::WorkerStatus::NotResponding:
        v.state = WorkerState::NotResponding;
        v.words = w.sentence.empty() ? "Not responding" : w.sentence;
        break;
    case client::WorkerStatus::Restarting:
        v.state = WorkerState::Restarting;
        v.words = "Restarting (" + std::to_string(w.restart) + "/" + std::to_string(w.restartLimit) + ")";
        break;
    case client::WorkerStatus::Stopped:
        v.state = started ? WorkerState::Stopped : WorkerState::NotStarted;
        v.words = !started ? "Not started" : w.sentence.empty() ? "Stopped" : "Stopped: " + w.sentence;
        break;
    }
    v.pid = w.pid;
    if (s.hello) {
        v.threads = s.hello->threads;
        v.bf16Fast = s.hello->bf16Fast;
        v.devices = s.hello->devices;
        v.deviceNote = s.hello->deviceNote;
    }
    if (s.heartbeat) {
        v.residentBytes = s.heartbeat->residentBytes;
        v.deviceBytes = s.heartbeat->deviceBytes;
        v.heartbeatAge = std::max(0.0, steadySeconds() - s.heartbeatAt);
    }
    return v;
}

std::string_view workerStateName(WorkerState state) {
    constexpr std::string_view kNames[] = {"not_started",    "starting",   "ready",  "busy",
                                           "not_responding", "restarting", "stopped"};
    return kNames[static_cast<std::size_t>(state)];
}

const JobRow* StudioSnapshot::find(JobId id) const {
    for (const JobRow& row : jobs)
        if (row.record.id == id)
            return &row;
    return nullptr;
}

const AskView* StudioSnapshot::findAsk(JobId id) const {
    for (const AskView& ask : asks)
        if (ask.id == id)
            return &ask;
    return nullptr;
}

} // namespace canopy
