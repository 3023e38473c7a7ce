#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/client/worker_client.h"
#include "core/evaluation/comparison_table.h"
#include "core/evaluation/question_set.h"
#include "core/formats/qa_model.h"

namespace canopy::evaluation {

struct EvaluationProgress {
    std::size_t answered = 0; ///< earlier runs included
    std::size_t answers = 0;
    std::string arm;
    std::filesystem::path video;
    double remainingSeconds = 0;           ///< from the answers of this run; 0 = unknown
    Precision precision = Precision::Auto; ///< as the worker resolved it
    std::vector<std::string> videoNotes;   ///< what of this video was not used
};

struct EvaluationOptions {
    std::vector<QuestionRow> rows;
    std::vector<Arm> arms;
    AskRequest base; ///< everything but video, question, options and tokens; defaults filled in
    QaModelRecord model;
    /// Answers as they come, one JSON object a line: a run that was stopped goes on from there. A journal of
    /// other questions, arms or settings is refused.
    std::filesystem::path journal;
    std::filesystem::path scratch; ///< folder for sampled frames
    client::WorkerClientOptions worker;
    std::function<void(const EvaluationProgress&)> progress; ///< called on the caller's thread; may be empty
};

/// Asks every question in every arm of a worker of its own, video by video so that each is looked at once.
/// answers[arm][row]. The first question that cannot be answered ends the run with its sentence; what was
/// answered stays in the journal. Cancelled when `stop` was requested.
Result<std::vector<std::vector<ArmAnswer>>> runEvaluation(EvaluationOptions options, std::stop_token stop);

} // namespace canopy::evaluation
