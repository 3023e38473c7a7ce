#pragma once

#include <stop_token>
#include <thread>

#include "core/client/worker_client.h"

namespace canopy::cli {

/// A worker of its own for a run that is not a job of the table. CANOPY_WORKER names another one.
client::WorkerClientOptions ownWorker();

/// Turns Ctrl+C into a stop of a long run, from construction to destruction.
class StopOnInterrupt {
public:
    StopOnInterrupt();
    std::stop_token token() const { return m_stop.get_token(); }

private:
    std::stop_source m_stop;
    std::jthread m_watcher; ///< last
};

} // namespace canopy::cli
