#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/progress_printer.h"
#include "app/cli/studio_session.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"
#include "core/job/answer.h"

namespace canopy::cli {
namespace {

/// A finished ask job with what belongs to it.
struct Asked {
    JobRecord record;
    std::shared_ptr<const TokenRun> run;
};

/// Sends the question and waits. An exit code when there is nothing to tell but an error, already reported.
std::optional<Asked> runAsk(AskOptions& options, int& exitCode) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    const auto model = findQaModel(options.model, ModelFolders());
    if (!model) {
        report(model.error());
        exitCode = kCannotStart;
        return std::nullopt;
    }
    AskRequest& request = options.request;
    request.modelId = model->id;
    request.modelPath = model->root.string();
    request.videoPath = std::filesystem::absolute(request.videoPath).string();
    watchInterrupts();
    StudioOptions studioOptions = commandStudio();
    studioOptions.recordFile = options.record;
    auto studio = Studio::open(std::move(studioOptions));
    if (!studio) {
        exitCode = report(studio.error());
        return std::nullopt;
    }
    const auto job = (*studio)->ask(request, JobTarget{.file = {}, .framesDir = {}, .reserved = true});
    if (!job) {
        const ExitCode code = report(job.error());
        exitCode = code == kFailed ? kCannotStart : code;
        return std::nullopt;
    }
    Asked asked;
    {
        ProgressPrinter printer(*job, false);
        asked.record = follow(**studio, *job, printer);
    }
    if (asked.record.state != JobState::Done) {
        const bool cancelled = asked.record.state == JobState::Cancelled;
        std::fprintf(stderr, "%s\n", cancelled ? "Cancelled." : printable(asked.record.sentence).c_str());
        exitCode = cancelled ? kInterrupted : exitCodeFor(asked.record.code);
        return std::nullopt;
    }
    auto run = (*studio)->tokenRun(*job);
    if (!run) {
        exitCode = report(run.error());
        return std::nullopt;
    }
    asked.run = std::move(*run);
    return asked;
}

std::string percent(double share) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %%", share * 100);
    return text;
}

void printAnswer(const Answer& answer, const TokenRun& run) {
    const auto& options = answer.request.options;
    // A letter alone says little: the option that it names stands behind it.
    const std::size_t chosen =
        answer.text.size() == 1 ? static_cast<std::size_t>(answer.text[0] - 'A') : options.size();
    std::printf("%s%s\n", printable(answer.text).c_str(),
                chosen < options.size() ? (". " + printable(options[chosen])).c_str() : "");
    for (std::size_t i = 0; i < answer.letterProbabilities.size() && i < options.size(); ++i) {
        std::printf("  %c. %-24s %s\n", static_cast<char>('A' + i), printable(options[i]).c_str(),
                    percent(answer.letterProbabilities[i]).c_str());
    }
    std::fprintf(stderr, "%d frames, %d of %d video tokens kept (%s)%s\n", answer.frames, answer.videoTokens,
                 answer.unprunedTokens, std::string(tokenModeInfo(run.settings.mode).label).c_str(),
                 answer.featuresCached ? ", features from the question before" : "");
    std::fprintf(stderr,
                 "First word after %s (vision %s, choosing %s, prefill %s); %.1f tokens a second; keys and "
                 "values %s, peak memory %s\n",
                 secondsText(answer.firstWordSeconds).c_str(),
                 secondsText(answer.visionSeconds + answer.projectSeconds).c_str(),
                 secondsText(answer.selectSeconds).c_str(), secondsText(answer.prefillSeconds).c_str(),
                 answer.decodeTokensPerSecond, bytesText(answer.kvBytes).c_str(),
                 bytesText(answer.peakBytes).c_str());
    if (answer.stop == Answer::Stop::Length)
        std::fprintf(stderr, "The answer was cut off at %d tokens; --max-tokens allows more.\n",
                     answer.request.maxNewTokens);
    for (const std::string& note : answer.request.videoNotes)
        std::fprintf(stderr, "%s\n", printable(note).c_str());
    for (const std::string& note : run.notes)
        std::fprintf(stderr, "%s\n", printable(note).c_str());
}

} // namespace

int ask(AskOptions options) {
    int exitCode = kOk;
    const auto asked = runAsk(options, exitCode);
    if (!asked) {
        return exitCode;
    }
    const auto answer = answerFromValue(asked->record.summary);
    if (!answer) {
        return report(answer.error());
    }
    if (options.json) {
        Value v = toValue(*answer);
        v.set("notes", Value::Array(asked->run->notes.begin(), asked->run->notes.end()));
        v.set("frame_index", Value::Array(asked->run->frameIndex.begin(), asked->run->frameIndex.end()));
        v.set("frame_seconds",
              Value::Array(asked->run->frameSeconds.begin(), asked->run->frameSeconds.end()));
        std::printf("%s\n", toJson(v, 2).c_str());
    } else {
        printAnswer(*answer, *asked->run);
    }
    return kOk;
}

int tokens(AskOptions options) {
    const auto out = std::filesystem::absolute(options.out);
    if (std::error_code ignored; std::filesystem::exists(out, ignored)) {
        return report(
            makeError(ErrorCode::Io, "The output file exists already and is not overwritten; choose "
                                     "another name. File: " +
                                         out.string()));
    }
    if (out.extension() != ".json" && out.extension() != ".csv") {
        return report(makeError(ErrorCode::InvalidArgument,
                                "The output file must end in .json or .csv: " + out.string()));
    }
    options.request.question.clear();
    int exitCode = kOk;
    const auto asked = runAsk(options, exitCode);
    if (!asked) {
        return exitCode;
    }
    const TokenRun& run = *asked->run;
    const std::string text = out.extension() == ".csv" ? tokenRunCsv(run) : tokenRunJson(run);
    if (auto written = writeFileAtomically(out, text); !written) {
        return report(written.error());
    }
    std::printf("%s\n", out.c_str());
    std::fprintf(stderr, "%d of %d cells kept, %d tokens with newlines; R = %d, K = %d\n", run.keptCells,
                 run.cells(), run.modelTokens, run.roots, run.budget);
    for (const std::string& note : run.notes)
        std::fprintf(stderr, "%s\n", printable(note).c_str());
    return kOk;
}

} // namespace canopy::cli
