#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/job/answer.h"
#include "core/job/token_run.h"
#include "core/project/job_store.h"

namespace canopy {

/// One question as the window shows it. Its row in the job list has the same id.
struct AskView {
    JobId id = 0;
    JobState state = JobState::Queued;
    AskRequest request; ///< resolved once the worker has said so
    std::string words;  ///< the state as shown: "Waiting", "Looking at 8 frames", "Reading 157 tokens", ...
    std::string text;   ///< the answer so far, whole words streaming in
    std::optional<Answer> answer; ///< when done
    std::shared_ptr<const TokenRun>
        run; ///< as soon as tokens were chosen; of earlier starts: Studio::tokenRun()
    double elapsedSeconds = 0;
};

/// Cosine of one cell with every cell of the video, asked of the worker that still has the features.
struct SimilarityProbe {
    JobId ask = 0;
    int cell = -1;
    std::vector<float> cosine; ///< [frames * rows * columns]; empty with a sentence
    std::string sentence;      ///< why there is none
};

} // namespace canopy
