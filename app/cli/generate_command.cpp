#include <cstdio>
#include <memory>
#include <string>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/progress_printer.h"
#include "app/cli/studio_session.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"
#include "core/formats/reuse_calibration.h"
#include "core/job/attention_calibration.h"
#include "core/job/model_value.h"
#include "core/job/settings_schema.h"
#include "core/studio/given_video.h"
#include "core/studio/studio.h"

namespace canopy::cli {
namespace {

/// Takes the thresholds into the request, or says why they do not fit it.
Result<void> takeThresholds(const ThresholdsOption& option, GenerationRequest& request,
                            const ModelRecord& model) {
    const auto read = readAttentionCalibration(option.file);
    if (!read)
        return read.error();
    AttentionSettings& s = request.attention;
    const AttentionSettings& host = read->host;
    if (!option.hasStride)
        s.stride = host.stride;
    if (!option.hasClusters) {
        s.queryClusters = host.queryClusters;
        s.keyClusters = host.keyClusters;
    }
    if (!option.hasMinimumShare)
        s.minimumShare = host.minimumShare;
    s.tau = host.tau;
    s.headTau = read->thresholds();
    const GenerationRequest filled = withModelDefaults(request, model.defaults);
    const auto problems = calibrationProblems(
        *read, filled.attention, {model.id, model.dit.layers, model.dit.heads, videoTokens(filled)});
    if (!problems.empty())
        return makeError(ErrorCode::InvalidArgument, problems.front() + " File: " + option.file.string());
    return {};
}

StudioOptions studioOptions(const GenerateOptions& options) {
    StudioOptions studio = commandStudio();
    studio.startWorkerAtOnce = !options.dryRun;
    studio.recordFile = options.record;
    studio.stateSeconds = options.saveSeconds;
    if (options.request.chunks.mode == SamplingMode::Chunked)
        studio.chunkRecordFile = options.stats, studio.recordLatents = true;
    else
        studio.attentionStatsFile = options.stats;
    return studio;
}

void printPlan(const StartCheck& check) {
    const Value request = toValue(check.request); // outlives the loop over its members
    for (const auto& [key, value] : request.asMap()) {
        const std::string text = value.isString() ? value.asString() : toJson(value);
        if (key != "version" && !text.empty()) {
            std::printf("%s: %s\n", key.c_str(), printable(text).c_str());
        }
    }
    if (check.plan.stages.empty())
        return;
    const DeviceKind device = check.request.device;
    std::printf("\nMemory plan (predicted), %s\n", std::string(deviceName(device)).c_str());
    for (const MemoryStage& stage : check.plan.stages) {
        std::printf("  %-8s %10s\n", stage.name.c_str(), bytesText(stage.bytes(device)).c_str());
        for (const MemoryItem& item : stage.items) {
            if (item.device == device && item.bytes > 0) {
                std::printf("    %-14s %10s\n", std::string(memoryCategoryName(item.category)).c_str(),
                            bytesText(item.bytes).c_str());
            }
        }
    }
    std::printf("  peak %s of %s that may be used\n", bytesText(check.plan.peakBytes(device)).c_str(),
                bytesText(check.budgetBytes).c_str());
}

int dryRun(const Studio& studio, const GenerationRequest& request, const JobTarget& target, bool json) {
    const StartCheck check = studio.check(request, target);
    if (json) {
        Value v;
        v.set("event", "plan").set("request", toValue(check.request)).set("memory_plan", toValue(check.plan));
        v.set("peak_bytes", check.plan.peakBytes(check.request.device))
            .set("budget_bytes", check.budgetBytes);
        v.set("problems", Value::Array(check.problems.begin(), check.problems.end()));
        std::printf("%s\n", toJson(v).c_str());
    } else {
        printPlan(check);
        std::printf(check.problems.empty() ? "\nNo problems: this can start.\n" : "\nProblems\n");
        for (const std::string& problem : check.problems) {
            std::printf("  %s\n", printable(problem).c_str());
        }
    }
    return check.problems.empty() ? kOk : kCannotStart;
}

} // namespace

int generate(GenerateOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    const Result<ModelRecord> model = findModel(options.model, ModelFolders());
    if (!model) {
        report(model.error());
        return kCannotStart;
    }
    GenerationRequest& request = options.request;
    request.modelId = model->id;
    request.modelPath = options.model == model->id ? model->root.string() : options.model;
    if (request.modelPath.empty()) {
        request.modelPath = model->root.string();
    }
    if (!options.video.empty()) {
        request.imagePath = options.video.string();
        if (request.chunks.givenFrames == 0) {
            const auto frames =
                givenLatentFrames(options.video, request.fps > 0 ? request.fps : model->defaults.fps);
            if (!frames) {
                return report(frames.error());
            }
            request.chunks.givenFrames = *frames;
        }
    }
    if (!request.imagePath.empty()) {
        request.imagePath = std::filesystem::absolute(request.imagePath).string();
    }
    if (!options.cacheFit.empty()) {
        const auto fit = readReuseCalibration(options.cacheFit, model->id);
        if (!fit) {
            return report(fit.error());
        }
        request.chunks.rescale.assign(fit->polynomial.begin(), fit->polynomial.end());
    }
    if (!options.thresholds.file.empty())
        if (auto taken = takeThresholds(options.thresholds, request, *model); !taken)
            return report(taken.error());
    if (!request.chunks.basePath.empty())
        request.chunks.basePath = std::filesystem::absolute(request.chunks.basePath).string();
    JobTarget target;
    target.reserved = true;
    if (!options.out.empty()) {
        target.file = std::filesystem::absolute(options.out);
        if (std::error_code ignored; std::filesystem::exists(target.file, ignored)) {
            return report(
                makeError(ErrorCode::Io, "The output file exists already and is not overwritten; choose "
                                         "another name. File: " +
                                             target.file.string()));
        }
    }
    if (!options.stats.empty()) {
        options.stats = std::filesystem::absolute(options.stats);
        if (std::error_code ignored; std::filesystem::exists(options.stats, ignored)) {
            return report(
                makeError(ErrorCode::Io, "The statistics file exists already and is not overwritten; choose "
                                         "another name. File: " +
                                             options.stats.string()));
        }
    }
    if (!options.framesDir.empty()) {
        target.framesDir = std::filesystem::absolute(options.framesDir);
    } else if (!Studio::hasMedia() && !options.dryRun) {
        target.framesDir = target.file;
        target.framesDir.replace_extension(".frames");
    }
    if (!Studio::hasMedia() && !options.dryRun) {
        std::fprintf(
            stderr,
            "This canopy-cli was built without video files (FFmpeg): it writes frames (PPM) and latents "
            "instead of an MP4. Folder: %s\n",
            target.framesDir.c_str());
    }

    watchInterrupts();
    Result<std::unique_ptr<Studio>> studio = Studio::open(studioOptions(options));
    if (!studio) {
        return report(studio.error());
    }
    if (options.dryRun) {
        return dryRun(**studio, request, target, options.jsonProgress);
    }
    const Result<JobId> job = (*studio)->generate(request, target);
    if (!job) {
        const ExitCode code = report(job.error());
        return code == kFailed ? kCannotStart : code;
    }
    if (options.jsonProgress) {
        Value v;
        v.set("event", "queued").set("job", *job).set("seed", request.seed).set("model", model->id);
        std::printf("%s\n", toJson(v).c_str());
        std::fflush(stdout);
    } else {
        std::fprintf(stderr, "Model %s, seed %llu\n", printable(model->defaults.label).c_str(),
                     static_cast<unsigned long long>(request.seed));
    }
    JobRecord record;
    {
        ProgressPrinter printer(*job, options.jsonProgress);
        record = follow(**studio, *job, printer);
    }
    const int code = tellEnd(record, options.jsonProgress);
    // The note above said why; the clip is there all the same.
    if (std::error_code ignored;
        code == kOk && !options.stats.empty() && !std::filesystem::exists(options.stats, ignored)) {
        return report(makeError(ErrorCode::Io, "The clip is done, but its statistics could not be "
                                               "written. File: " +
                                                   options.stats.string()));
    }
    return code;
}

} // namespace canopy::cli
