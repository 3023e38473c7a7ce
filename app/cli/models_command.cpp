#include <cstdio>
#include <string>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "core/base/value.h"
#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"
#include "core/formats/model_scan.h"
#include "core/formats/qa_model.h"
#include "core/job/ask_plan.h"
#include "core/job/memory_plan.h"
#include "core/job/settings_schema.h"
#include "core/studio/machine.h"

namespace canopy::cli {
namespace {

struct Fit {
    std::uint64_t planned = 0; ///< of the model's default job on the CPU
    std::string word;          ///< "fits", "tight", "no"
};

/// Tight = above four fifths of what is free: a browser tab more and it would not fit.
Fit fitOf(const MemoryPlan& plan, std::uint64_t available) {
    Fit fit;
    fit.planned = plan.peakBytes(DeviceKind::Cpu);
    fit.word = fit.planned > available ? "no" : fit.planned > available / 5 * 4 ? "tight" : "fits";
    return fit;
}

Fit fitOf(const ModelRecord& model, std::uint64_t available) {
    GenerationRequest request = withModelDefaults(GenerationRequest{}, model.defaults);
    request.precision = Precision::BFloat16;
    return fitOf(planMemory(model, request), available);
}

Value modelValue(const ModelRecord& model, std::uint64_t available) {
    const Fit fit = fitOf(model, available);
    Value v;
    v.set("id", model.id).set("label", model.defaults.label).set("family", modelFamilyName(model.family));
    v.set("path", model.root.string()).set("starter", model.defaults.starter);
    v.set("weight_bytes", model.weightBytes).set("planned_bytes", fit.planned).set("fits", fit.word);
    v.set("licence", model.licenceFile.string());
    v.set("missing", Value::Array(model.missing.begin(), model.missing.end()));
    v.set("can_run", model.missing.empty());
    return v;
}

/// The same for a model that answers questions: its default number of frames, nothing pruned.
Fit fitOf(const QaModelRecord& model, std::uint64_t available) {
    AskRequest request = withModelDefaults(AskRequest{}, model);
    request.precision = Precision::BFloat16;
    return fitOf(planMemory(model, request, plannedVideoTokens(model, request)), available);
}

Value modelValue(const QaModelRecord& model, std::uint64_t available) {
    const Fit fit = fitOf(model, available);
    Value v;
    v.set("id", model.id).set("label", model.defaults.label).set("family", qaFamilyName(model.family));
    v.set("path", model.root.string()).set("starter", model.defaults.starter);
    v.set("weight_bytes", model.weightBytes).set("planned_bytes", fit.planned).set("fits", fit.word);
    v.set("frames", model.defaults.frames).set("licence", model.licenceFile.string());
    v.set("missing", Value::Array(model.missing.begin(), model.missing.end()));
    v.set("can_run", model.missing.empty());
    return v;
}

template <typename Record>
void printModel(const Record& model, std::string_view what, std::uint64_t available) {
    const Fit fit = fitOf(model, available);
    std::printf("%s  %s%s\n", printable(model.id).c_str(), printable(model.defaults.label).c_str(),
                model.defaults.starter ? " (starter model)" : "");
    std::printf("  %s\n", printable(model.root.string()).c_str());
    std::printf("  weights %s; a default %s needs about %s of memory: %s\n",
                bytesText(model.weightBytes).c_str(), std::string(what).c_str(),
                bytesText(fit.planned).c_str(), fit.word.c_str());
    std::printf("  licence: %s\n",
                model.licenceFile.empty() ? "no file found" : printable(model.licenceFile.string()).c_str());
    for (const std::string& sentence : model.missing) {
        std::printf("  missing: %s\n", printable(sentence).c_str());
    }
}

} // namespace

int listModels(bool json) {
    const std::vector<ScanResult> found = ModelFolders().scan();
    const std::vector<QaScanResult> questions = scanQaModels(ModelFolders());
    const std::uint64_t available = availableMemoryBytes();
    Value::Array models;
    Value::Array questionModels;
    for (const QaScanResult& result : questions)
        questionModels.push_back(modelValue(result.record, available));
    Value::Array problems;
    for (const ScanResult& result : found) {
        if (result.record) {
            models.push_back(modelValue(*result.record, available));
        } else if (result.error) {
            Value problem;
            problem.set("path", result.path.string()).set("message", result.error->message);
            problems.push_back(std::move(problem));
        }
    }
    if (json) {
        Value out;
        out.set("models", std::move(models))
            .set("question_models", std::move(questionModels))
            .set("problems", std::move(problems))
            .set("free_bytes", available);
        std::printf("%s\n", toJson(out, 2).c_str());
        return kOk;
    }
    for (const ScanResult& result : found) {
        if (result.record) {
            printModel(*result.record, "clip", available);
        } else if (result.error) {
            std::fprintf(stderr, "%s\n", printable(result.error->message).c_str());
        }
    }
    if (!questions.empty()) {
        std::printf("\nFor questions about videos\n");
    }
    for (const QaScanResult& result : questions) {
        printModel(result.record, "question", available);
    }
    if (models.empty() && questions.empty()) {
        std::printf("No models were found. Add a folder of models with: canopy-cli models add DIR\n");
    }
    return kOk;
}

int addModelFolder(const std::filesystem::path& folder, bool json) {
    if (const Result<void> added = ModelFolders().add(folder); !added) {
        return report(added.error());
    }
    return listModels(json);
}

} // namespace canopy::cli
