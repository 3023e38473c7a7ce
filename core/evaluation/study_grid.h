#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/evaluation/question_set.h"
#include "core/formats/model_config.h"
#include "core/job/attention_calibration.h"
#include "core/job/generation_request.h"

namespace canopy::evaluation {

/// One sentence that clips are made from, and what a viewer of the right clip would answer.
struct StudyPrompt {
    std::string prompt;
    std::vector<QuestionRow> questions; ///< without a video
    /// A really drawn clip of the prompt: raw RGB frames one after another, of the clips' size; empty = none.
    std::filesystem::path drawn;
};

/// One way of making the clips.
struct StudyArm {
    std::string name;
    std::string against;  ///< arm that this one changes in one respect; empty = the reference
    std::string family;   ///< one method at several settings, for comparison at equal fidelity; may be empty
    bool isFloor = false; ///< the reference by other arithmetic: how far apart equal methods lie
    GenerationRequest request;                    ///< base and settings, merged; without prompt and seed
    std::vector<AttentionCalibration> thresholds; ///< what its thresholds per head came from; none or one
};

struct StudyGrid {
    std::string title;
    std::string model; ///< id or path; empty = the first that can run
    std::vector<StudyPrompt> prompts;
    std::vector<std::uint64_t> seeds;
    int repeats = 1;           ///< of every clip; only time can differ
    std::size_t reference = 0; ///< arm that fidelity is measured against
    std::vector<StudyArm> arms;
};

/// Reads a grid:
///   {"version": 1, "title"?, "model"?, "prompts": FILE | [PROMPT...], "seeds": [1, ...], "repeats"?,
///    "base": SETTINGS, "reference": NAME, "arms": [{"name", "settings": SETTINGS, "against"?, "family"?,
///    "floor"?}...]}
/// PROMPT is a text or {"prompt", "questions"?: [{question, answer, options?, kind?}], "drawn"?: FILE}; a
/// file of prompts is a JSON list of them or, as .txt, one a line. SETTINGS is a map as
/// toValue(GenerationRequest) writes it; an arm's settings are merged into the base, key by key, and
/// `overrides` into both. Inside "attention", "thresholds": FILE takes the thresholds and the host's
/// parameters from a calibration. Paths are relative to the grid. Keys that no setting
/// reads are an error. `prompts`: a file of prompts instead of the grid's; empty = the grid's.
Result<StudyGrid> readStudyGrid(const std::filesystem::path& file, const Value& overrides = {},
                                const std::filesystem::path& prompts = {});

/// Why the arms cannot run on this model, one sentence each with the arm's name. Fills their defaults.
std::vector<std::string> prepareStudy(StudyGrid& grid, const ModelRecord& model);

/// `over` into `base`: maps key by key, everything else replaced.
Value merged(const Value& base, const Value& over);

} // namespace canopy::evaluation
