#include "app/cli/studio_session.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "app/cli/exit_code.h"
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

JobRecord follow(Studio& studio, JobId job, ProgressPrinter& printer) {
    bool cancelled = false;
    std::uint64_t seen = 0;
    while (true) {
        const auto snapshot = studio.waitForChange(seen, 200ms);
        if (snapshot->sequence != seen) {
            seen = snapshot->sequence;
            printer.show(*snapshot);
        }
        if (const JobRow* row = snapshot->find(job); row != nullptr && isFinished(row->record.state)) {
            return row->record;
        }
        if (interrupted() && !cancelled) {
            cancelled = true;
            printer.note("Stopping. Press Ctrl+C again to leave at once.");
            (void)studio.cancel(job);
        }
    }
}

} // namespace canopy::cli
