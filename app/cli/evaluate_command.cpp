#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>
#include <utility>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/worker_run.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/evaluation/evaluation_run.h"
#include "core/evaluation/report.h"
#include "core/formats/model_folders.h"
#include "core/job/ask_plan.h"

namespace canopy::cli {
namespace {

using namespace evaluation;

/// The unpruned arm first, then every mode at every share below 1.
std::vector<Arm> armsOf(const EvaluateOptions& options) {
    std::vector<TokenMode> modes = options.modes;
    if (modes.empty())
        for (const TokenModeInfo& info : tokenModes())
            modes.push_back(info.mode);
    std::vector<double> shares =
        options.keep.empty() ? std::vector<double>{0.5, 0.25, 0.1, 0.05} : options.keep;
    std::sort(shares.rbegin(), shares.rend());
    Arm unpruned;
    unpruned.tokens = options.base.tokens;
    unpruned.tokens.mode = TokenMode::All;
    unpruned.tokens.keep = 1;
    std::vector<Arm> arms = {unpruned};
    for (const double share : shares) {
        for (const TokenMode mode : modes) {
            if (mode == TokenMode::All || share >= 1 || share <= 0)
                continue;
            Arm arm = unpruned;
            arm.tokens.mode = mode;
            arm.tokens.keep = share;
            arms.push_back(arm);
        }
    }
    return arms;
}

void printProgress(const EvaluationProgress& p, double& shownAt) {
    const double now = steadySeconds();
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (p.answered != p.answers && now - shownAt < (terminal ? 0.2 : 10))
        return;
    shownAt = now;
    std::fprintf(stderr, "%s%zu of %zu answers, %s, %s%s left  %s", terminal ? "\r\033[K" : "", p.answered,
                 p.answers, printable(p.video.filename().string()).c_str(), p.arm.c_str(),
                 p.remainingSeconds > 0 ? (", about " + secondsText(p.remainingSeconds)).c_str() : "",
                 terminal ? "" : "\n");
}

std::filesystem::path journalOf(const EvaluateOptions& options) {
    // Without a report the answers lie in the state folder, one file for each question set.
    const auto set = std::hash<std::string>{}(std::filesystem::absolute(options.questions).string());
    auto journal = options.out.empty() ? stateFolder() / ("evaluate-" + std::to_string(set))
                                       : std::filesystem::absolute(options.out);
    journal += ".answers.jsonl";
    return journal;
}

} // namespace

int evaluate(EvaluateOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    if (!options.out.empty()) {
        if (options.out.extension() != ".json" && options.out.extension() != ".html")
            return report(makeError(ErrorCode::InvalidArgument,
                                    "The report must end in .json or .html: " + options.out.string()));
        if (std::error_code ignored; std::filesystem::exists(options.out, ignored))
            return report(makeError(ErrorCode::Io, "The report exists already and is not overwritten; choose "
                                                   "another name. File: " +
                                                       options.out.string()));
    }
    auto rows = readQuestionSet(options.questions);
    if (!rows)
        return report(rows.error());
    auto model = findQaModel(options.model, ModelFolders());
    if (!model) {
        report(model.error());
        return kCannotStart;
    }
    EvaluationOptions run;
    run.rows = std::move(*rows);
    run.arms = armsOf(options);
    run.base = withModelDefaults(options.base, *model);
    run.base.tokens = {};
    run.model = std::move(*model);
    run.journal = journalOf(options);
    run.scratch = stateFolder();
    run.worker = ownWorker();
    double shownAt = 0;
    Precision precision = run.base.precision;
    std::set<std::string> told; ///< videos of which not all was used
    run.progress = [&](const EvaluationProgress& p) {
        precision = p.precision;
        if (!p.videoNotes.empty() && told.insert(p.video.string()).second)
            for (const std::string& note : p.videoNotes)
                std::fprintf(stderr, "%s: %s\n", printable(p.video.filename().string()).c_str(),
                             printable(note).c_str());
        printProgress(p, shownAt);
    };

    std::set<std::filesystem::path> videos;
    for (const QuestionRow& row : run.rows)
        videos.insert(row.video);
    ReportHead head{run.model.defaults.label,
                    run.model.id,
                    videos.size(),
                    run.rows.size(),
                    run.base.frames,
                    {},
                    std::string(deviceName(run.base.device)),
                    CANOPY_VERSION};
    const auto questions = run.rows;
    const auto arms = run.arms;
    const auto journal = run.journal;

    const StopOnInterrupt interrupt;
    const auto answers = runEvaluation(std::move(run), interrupt.token());
    std::fputs("\n", stderr);
    if (!answers)
        return report(answers.error());
    head.precision = precisionName(precision);
    const auto table = compareArms(questions, arms, *answers);
    std::printf("%s", reportMarkdown(head, table).c_str());
    if (!options.out.empty()) {
        const std::string text = options.out.extension() == ".html"
                                     ? reportHtml(head, table)
                                     : toJson(reportValue(head, table, *answers), 1);
        if (auto written = writeFileAtomically(options.out, text); !written)
            return report(written.error());
    }
    std::error_code ignored;
    std::filesystem::remove(journal, ignored); // everything in it stands in the report
    return kOk;
}

} // namespace canopy::cli
