#pragma once

#include <memory>

#include "app/cli/progress_printer.h"
#include "core/base/result.h"
#include "core/studio/studio.h"

namespace canopy::cli {

/// A studio for one command: runs only what this command reserves. CANOPY_WORKER names another worker.
StudioOptions commandStudio();

/// From now on Ctrl+C asks the job under way to stop; a second one ends the process, and the worker with it.
void watchInterrupts();
bool interrupted();

/// Waits for the job's end, passing Ctrl+C on as a cancel. `attempt`: the one that is meant; how an earlier
/// one ended is no end.
JobRecord follow(Studio& studio, JobId job, ProgressPrinter& printer, int attempt = 0);

/// Says how a clip's job ended: its file on standard output, or why not on standard error. The exit code.
int tellEnd(const JobRecord& record, bool json);

} // namespace canopy::cli
