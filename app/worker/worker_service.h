#pragma once

#include <string>

#include "app/worker/job_runner.h"

namespace canopy::worker {

struct WorkerOptions {
    int readDescriptor = -1;                          ///< taken over
    int writeDescriptor = -1;                         ///< taken over; may be the same
    std::string build;                                ///< version of the program, for the hello
    int protocolVersion = protocol::kProtocolVersion; ///< another one only in tests
};

/// Control thread (the caller): reads the channel and SIGTERM, keeps the jobs. Returns the process's exit
/// code when the client is gone, said Shutdown, or the engine broke. The caller must have blocked SIGTERM
/// before any thread was started.
///
/// Does not return while a job runs on, but for SIGTERM and a client that is gone: then the process ends
/// here.
int runWorker(const EngineFactory& factory, const WorkerOptions& options);

/// main() of every worker: takes the channel from descriptors 0 and 1, points 1 at stderr so that no stray
/// print can corrupt the stream, opens the log, ties the process's life to its parent's.
int workerMain(int argc, char** argv, const EngineFactory& factory);

} // namespace canopy::worker
