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
#include "core/evaluation/calibration_run.h"
#include "core/evaluation/prompt_set.h"
#include "core/formats/model_folders.h"

namespace canopy::cli {
namespace {

using namespace evaluation;

void printProgress(const CalibrationProgress& p, double& shownAt, std::string& shownStage) {
    const double now = steadySeconds();
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (p.stage == shownStage && now - shownAt < (terminal ? 0.2 : 10))
        return;
    shownAt = now;
    shownStage = p.stage;
    std::string text;
    if (p.stage == "check")
        text = "Trying the thresholds";
    else if (p.stage == "calibrate")
        text = std::to_string(p.measured) + " of " + std::to_string(p.samples) + " measurements" +
               (p.remainingSeconds > 0 ? ", about " + secondsText(p.remainingSeconds) + " left" : "");
    else
        text = "Loading the model";
    std::fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", text.c_str(), terminal ? "" : "\n");
}

void printResult(const AttentionCalibration& c) {
    std::printf("%d layers of %d heads, predicted sparsity %.4f", c.layerCount(), c.headCount(),
                c.predictedSparsity());
    if (c.procedure == CalibrationProcedure::Error)
        std::printf(" (budget %.4f, price %.3g, gap %.2g)", c.budget, c.lambda, c.gap);
    std::printf("\n");
    if (c.realisedSparsity && c.realisedSharedSparsity)
        std::printf("Realised on a clip of another prompt: %.4f; with %.10g for all heads: %.4f\n",
                    *c.realisedSparsity, c.host.tau, *c.realisedSharedSparsity);
    for (int layer = 0; layer < c.layerCount(); ++layer) {
        std::printf("layer %2d ", layer + 1);
        for (int head = 0; head < c.headCount(); ++head)
            std::printf(" %.3f",
                        c.heads[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)].tau);
        std::printf("\n");
    }
}

} // namespace

int calibrate(CalibrateOptions options) {
    openLogFiles(stateFolder() / "logs", "canopy-cli", LogLevel::Info);
    options.out = std::filesystem::absolute(options.out);
    if (std::error_code ignored; std::filesystem::exists(options.out, ignored))
        return report(makeError(ErrorCode::Io, "The thresholds exist already and are not overwritten; choose "
                                               "another name. File: " +
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
    CalibrationRunOptions run;
    if (prompts->size() > 1) {
        run.checkPrompt = prompts->back();
        prompts->pop_back();
    }
    run.request = std::move(options.request);
    run.request.prompts = std::move(*prompts);
    run.request.clip.modelId = model->id;
    run.request.clip.modelPath = model->root.string();
    run.request = withModelDefaults(std::move(run.request), model->defaults);
    run.model = std::move(*model);
    run.journal = options.out.string() + ".measured.jsonl";
    run.resume = options.resume;
    run.worker = ownWorker();
    double shownAt = 0;
    std::string shownStage;
    run.progress = [&](const CalibrationProgress& p) { printProgress(p, shownAt, shownStage); };
    std::fprintf(stderr, "Model %s, %dx%d, %d frames, %d steps, %zu prompts\n",
                 printable(run.model.defaults.label).c_str(), run.request.clip.width, run.request.clip.height,
                 run.request.clip.frames, run.request.clip.steps, run.request.prompts.size());
    const auto journal = run.journal;

    const StopOnInterrupt interrupt;
    const auto calibration = runCalibration(std::move(run), interrupt.token());
    std::fputs("\n", stderr);
    if (!calibration)
        return report(calibration.error());
    if (auto written = writeAttentionCalibration(*calibration, options.out); !written)
        return report(written.error());
    printResult(*calibration);
    std::error_code ignored;
    std::filesystem::remove(journal, ignored); // everything in it stands in the thresholds
    return kOk;
}

} // namespace canopy::cli
