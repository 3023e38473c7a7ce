#include "app/cli/worker_run.h"

#include <chrono>

#include "app/cli/studio_session.h"
#include "core/base/files.h"

namespace canopy::cli {

client::WorkerClientOptions ownWorker() {
    const StudioOptions session = commandStudio();
    client::WorkerClientOptions worker;
    worker.executable =
        session.workerProgram.empty() ? executableFolder() / "canopy-worker" : session.workerProgram;
    worker.topics = {};
    return worker;
}

StopOnInterrupt::StopOnInterrupt() {
    watchInterrupts();
    m_watcher = std::jthread([this](std::stop_token ended) {
        while (!ended.stop_requested() && !interrupted())
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (interrupted())
            m_stop.request_stop();
    });
}

} // namespace canopy::cli
