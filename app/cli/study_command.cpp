#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <utility>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/worker_run.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/evaluation/study_report.h"
#include "core/formats/model_folders.h"

namespace canopy::cli {
namespace {

using namespace evaluation;

/// The machine's settings of the command line over those of the grid.
Value overridesOf(const StudyCommandOptions& o) {
    Value v{Value::Map{}};
    if (!o.device.empty())
        v.set("device", o.device);
    if (!o.precision.empty())
        v.set("precision", o.precision);
    if (o.threads > 0)
        v.set("threads", o.threads);
    return v;
}

/// Only the named arms and the reference; the first `prompts` prompts.
Result<void> narrow(StudyGrid& grid, const StudyCommandOptions& o) {
    if (o.prompts > 0 && static_cast<std::size_t>(o.prompts) < grid.prompts.size())
        grid.prompts.resize(static_cast<std::size_t>(o.prompts));
    if (o.arms.empty())
        return {};
    const std::string reference = grid.arms[grid.reference].name;
    std::set<std::string> wanted(o.arms.begin(), o.arms.end());
    wanted.insert(reference);
    std::set<std::string> found;
    std::erase_if(grid.arms, [&](const StudyArm& arm) {
        const bool stays = wanted.contains(arm.name);
        if (stays)
            found.insert(arm.name);
        return !stays;
    });
    for (const std::string& name : wanted)
        if (!found.contains(name))
            return makeError(ErrorCode::InvalidArgument, "The grid has no arm \"" + name + "\".");
    for (std::size_t i = 0; i < grid.arms.size(); ++i) {
        if (grid.arms[i].name == reference)
            grid.reference = i;
        if (!found.contains(grid.arms[i].against))
            grid.arms[i].against.clear();
    }
    return {};
}

void printProgress(const StudyProgress& p, double& shownAt) {
    const double now = steadySeconds();
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (p.done != p.clips && now - shownAt < (terminal ? 0.2 : 10))
        return;
    shownAt = now;
    std::fprintf(stderr, "%s%zu of %zu clips, %s%s%s", terminal ? "\r\033[K" : "", p.done, p.clips,
                 printable(p.arm).c_str(),
                 p.remainingSeconds > 0 ? (", about " + secondsText(p.remainingSeconds) + " left").c_str()
                                        : "",
                 terminal ? "" : "\n");
}

StudyHead headOf(const StudyOptions& run, const StudyOutcome& outcome) {
    const GenerationRequest& clip = run.grid.arms[run.grid.reference].request;
    StudyHead head;
    head.title = run.grid.title;
    head.modelLabel = run.model.defaults.label;
    head.modelId = run.model.id;
    head.qaLabel = run.qaModel ? run.qaModel->defaults.label : "";
    head.machine = outcome.machine;
    head.width = clip.width;
    head.height = clip.height;
    head.frames = clip.frames;
    head.steps = clip.steps;
    head.prompts = run.grid.prompts.size();
    head.seeds = run.grid.seeds.size();
    head.repeats = run.grid.repeats;
    head.drawn = outcome.drawn;
    head.programVersion = CANOPY_VERSION;
    return head;
}

/// The model that asks, where a prompt has questions. No such model is an error, not a column less.
Result<std::optional<QaModelRecord>> asker(const StudyGrid& grid, const StudyCommandOptions& o) {
    bool asks = false;
    for (const StudyPrompt& p : grid.prompts)
        asks = asks || !p.questions.empty();
    if (!asks || o.noQuestions)
        return std::optional<QaModelRecord>();
    auto model = findQaModel(o.qaModel, ModelFolders());
    if (!model)
        return makeError(model.error().code,
                         model.error().message + " With --no-questions the prompts' questions are left out.");
    return std::optional(std::move(*model));
}

} // namespace

int study(StudyCommandOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    auto grid = readStudyGrid(options.grid, overridesOf(options), options.promptSet);
    if (!grid)
        return report(grid.error());
    if (auto narrowed = narrow(*grid, options); !narrowed)
        return report(narrowed.error());
    auto model = findModel(options.model.empty() ? grid->model : options.model, ModelFolders());
    if (!model) {
        report(model.error());
        return kCannotStart;
    }
    if (const auto problems = prepareStudy(*grid, *model); !problems.empty()) {
        for (const std::string& problem : problems)
            std::fprintf(stderr, "%s\n", printable(problem).c_str());
        return kCannotStart;
    }
    auto qaModel = asker(*grid, options);
    if (!qaModel) {
        report(qaModel.error());
        return kCannotStart;
    }
    options.out = std::filesystem::absolute(options.out);
    std::error_code ec;
    std::filesystem::create_directories(options.out, ec);
    if (ec)
        return report(makeError(ErrorCode::Io, "The folder of the results cannot be made (" + ec.message() +
                                                   "): " + options.out.string()));
    StudyOptions run;
    run.grid = std::move(*grid);
    run.model = std::move(*model);
    run.qaModel = std::move(*qaModel);
    run.folder = options.out;
    for (const std::string& name : options.only) {
        const auto arm = std::find_if(run.grid.arms.begin(), run.grid.arms.end(),
                                      [&](const StudyArm& a) { return a.name == name; });
        if (arm == run.grid.arms.end())
            return report(makeError(ErrorCode::InvalidArgument, "The grid has no arm \"" + name + "\"."));
        run.only.push_back(static_cast<std::size_t>(arm - run.grid.arms.begin()));
    }
    run.readOnly = options.noNewClips;
    run.part = options.part;
    run.parts = options.parts;
    run.worker = ownWorker();
    double shownAt = 0;
    run.progress = [&](const StudyProgress& p) { printProgress(p, shownAt); };

    const StopOnInterrupt interrupt;
    const auto outcome = runStudy(run, interrupt.token());
    std::fputs("\n", stderr);
    if (!outcome)
        return report(outcome.error());
    if (outcome->results.empty())
        return report(
            makeError(ErrorCode::NotFound, "No clip of this study lies in " + options.out.string() + "."));
    if (run.parts > 1 && !run.readOnly) {
        std::printf("Part %d of %d is made. The same command without --part writes the tables.\n",
                    run.part + 1, run.parts);
        return kOk;
    }
    const auto table = studyTable(run.grid, outcome->results);
    const StudyHead head = headOf(run, *outcome);
    const auto matched = matchedFidelity(run.grid, outcome->results);
    std::printf("%s", studyText(head, table, matched).c_str());
    for (const auto& [name, text] : {std::pair{"clips.csv", studyClipsCsv(run.grid, outcome->results)},
                                     std::pair{"table.csv", studyTableCsv(table)},
                                     std::pair{"index.html", studyHtml(head, table, matched)}})
        if (auto written = writeFileAtomically(options.out / name, text); !written)
            return report(written.error());
    std::printf("\n%s\n", (options.out / "index.html").c_str());
    return kOk;
}

} // namespace canopy::cli
