#include "app/cli/studio_session.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "app/cli/exit_code.h"
#include "app/cli/output.h"
#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"

namespace canopy::cli {
namespace {

using namespace std::chrono_literals;

volatile sig_atomic_t g_interrupts = 0;

void onInterrupt(int) {
    g_interrupts = g_interrupts + 1;
    if (g_interrupts > 1) {
        ::_exit(kInterrupted);
    }
}

} // namespace

StudioOptions commandStudio() {
    StudioOptions studio;
    studio.programVersion = CANOPY_VERSION;
    studio.findModel = [](const GenerationRequest& request) {
        return findModel(request.modelPath.empty() ? request.modelId : request.modelPath, ModelFolders());
    };
    studio.findQaModel = [](const AskRequest& request) {
        return findQaModel(request.modelPath.empty() ? request.modelId : request.modelPath, ModelFolders());
    };
    if (const char* worker = std::getenv("CANOPY_WORKER")) {
        studio.workerProgram = worker;
    }
    studio.onlyReservedJobs = true;
    return studio;
}

void watchInterrupts() {
    struct sigaction action {};
    action.sa_handler = onInterrupt;
    ::sigaction(SIGINT, &action, nullptr);
}

bool interrupted() {
    return g_interrupts > 0;
}

JobRecord follow(Studio& studio, JobId job, ProgressPrinter& printer, int attempt) {
    bool cancelled = false;
    std::uint64_t seen = 0;
    while (true) {
        const auto snapshot = studio.waitForChange(seen, 200ms);
        if (snapshot->sequence != seen) {
            seen = snapshot->sequence;
            printer.show(*snapshot);
        }
        if (const JobRow* row = snapshot->find(job);
            row != nullptr && isFinished(row->record.state) &&
            (row->record.attempt >= attempt || row->record.state == JobState::Cancelled)) {
            return row->record;
        }
        if (interrupted() && !cancelled) {
            cancelled = true;
            printer.note("Stopping. Press Ctrl+C again to leave at once.");
            (void)studio.cancel(job);
        }
    }
}

int tellEnd(const JobRecord& record, bool json) {
    const bool done = record.state == JobState::Done;
    if (json) {
        Value v;
        v.set("event", "end").set("job", record.id).set("state", jobStateName(record.state));
        v.set("seed", record.clip()->seed);
        if (done) {
            v.set("file", record.resultFile.string()).set("summary", record.summary);
        } else {
            v.set("code", errorCodeName(record.code)).set("message", record.sentence);
        }
        std::printf("%s\n", toJson(v).c_str());
    } else if (done) {
        std::printf("%s\n", record.resultFile.c_str());
    } else {
        std::fprintf(stderr, "%s\n",
                     record.state == JobState::Cancelled ? "Cancelled." : printable(record.sentence).c_str());
    }
    if (!record.latentsFile.empty() && !Studio::hasMedia()) {
        std::fprintf(stderr, "The latents are in %s\n", record.latentsFile.c_str());
    }
    if (done) {
        return kOk;
    }
    return record.state == JobState::Cancelled ? kInterrupted : exitCodeFor(record.code);
}

} // namespace canopy::cli
