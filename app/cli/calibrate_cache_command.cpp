#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "app/cli/worker_run.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/evaluation/prompt_set.h"
#include "core/evaluation/reuse_calibration_run.h"
#include "core/formats/model_folders.h"
#include "core/job/settings_schema.h"

namespace canopy::cli {
namespace {

using namespace evaluation;

void printProgress(const ReuseCalibrationProgress& p, double& shownAt) {
    const double now = steadySeconds();
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (now - shownAt < (terminal ? 0.2 : 10))
        return;
    shownAt = now;
    std::string text = std::to_string(p.prompt) + " of " + std::to_string(p.prompts) + " prompts";
    if (p.units > 0)
        text += ", row " + std::to_string(p.unit) + " of " + std::to_string(p.units);
    if (p.remainingSeconds > 0)
        text += ", about " + secondsText(p.remainingSeconds) + " left";
    std::fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", text.c_str(), terminal ? "" : "\n");
}

void printResult(const ReuseCalibration& c) {
    std::printf("%d steps of %d prompts; residual %.4g of a mean change of %.4g\n", c.samples, c.prompts,
                c.residual, c.meanChange);
    std::printf("polynomial");
    for (const double coefficient : c.polynomial)
        std::printf(" %.10g", coefficient);
    std::printf("\n");
    for (const auto& preset : c.presets)
        std::printf("--hit-rate %.2f: %.0f %% of %d steps reused, threshold %.6g\n", preset.wanted,
                    100 * preset.hitRate, c.steps, preset.threshold);
}

} // namespace

int calibrateCache(CalibrateOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    options.out = std::filesystem::absolute(options.out);
    if (std::error_code ignored; std::filesystem::exists(options.out, ignored))
        return report(makeError(ErrorCode::Io, "The calibration exists already and is not overwritten; "
                                               "choose another name. File: " +
                                                   options.out.string()));
    auto prompts = readPromptSet(
        options.prompts.empty() ? resourceFolder() / "studies/calibration-prompts.txt" : options.prompts);
    if (!prompts)
        return report(prompts.error());
    auto model = findModel(options.model, ModelFolders());
    if (!model) {
        report(model.error());
        return kCannotStart;
    }
    ReuseCalibrationRunOptions run;
    run.clip = std::move(options.request.clip);
    run.clip.modelId = model->id;
    run.clip.modelPath = model->root.string();
    run.clip = withModelDefaults(std::move(run.clip), model->defaults);
    run.prompts = std::move(*prompts);
    run.model = std::move(*model);
    run.journal = options.out.string() + ".measured.jsonl";
    run.resume = options.resume;
    run.worker = ownWorker();
    double shownAt = 0;
    run.progress = [&](const ReuseCalibrationProgress& p) { printProgress(p, shownAt); };
    std::fprintf(stderr, "Model %s, %dx%d, %d frames, %d steps, %zu prompts\n",
                 printable(run.model.defaults.label).c_str(), run.clip.width, run.clip.height,
                 run.clip.frames, run.clip.steps, run.prompts.size());
    const auto journal = run.journal;

    const StopOnInterrupt interrupt;
    const auto calibration = runReuseCalibration(std::move(run), interrupt.token());
    std::fputs("\n", stderr);
    if (!calibration)
        return report(calibration.error());
    if (auto written = writeFileAtomically(options.out, toJson(toValue(*calibration), 1)); !written)
        return report(written.error());
    printResult(*calibration);
    std::error_code ignored;
    std::filesystem::remove(journal, ignored); // everything in it stands in the calibration
    return kOk;
}

} // namespace canopy::cli
