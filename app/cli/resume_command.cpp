#include <chrono>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/progress_printer.h"
#include "app/cli/studio_session.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"

namespace canopy::cli {

int resume(ResumeOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    JobTarget target;
    if (!options.out.empty()) {
        target.file = std::filesystem::absolute(options.out);
        if (std::error_code ignored; std::filesystem::exists(target.file, ignored))
            return report(makeError(ErrorCode::Io, "The output file exists already and is not overwritten; "
                                                   "choose another name. File: " +
                                                       target.file.string()));
    }
    if (!options.framesDir.empty())
        target.framesDir = std::filesystem::absolute(options.framesDir);
    watchInterrupts();
    StudioOptions studioOptions = commandStudio();
    studioOptions.stateSeconds = options.saveSeconds;
    auto studio = Studio::open(std::move(studioOptions));
    if (!studio)
        return report(studio.error());
    auto before = (*studio)->snapshot();
    while (before->sequence == 0)
        before = (*studio)->waitForChange(0, std::chrono::milliseconds(200));
    const auto job = (*studio)->resumeClip(options.state, std::move(target));
    if (!job)
        return report(job.error());
    if (options.jsonProgress) {
        std::printf("%s\n", toJson(Value{}.set("event", "queued").set("job", *job)).c_str());
        std::fflush(stdout);
    }
    const JobRow* earlier = before->find(*job);
    JobRecord record;
    {
        ProgressPrinter printer(*job, options.jsonProgress);
        record = follow(**studio, *job, printer, earlier ? earlier->record.attempt + 1 : 0);
    }
    return tellEnd(record, options.jsonProgress);
}

} // namespace canopy::cli
