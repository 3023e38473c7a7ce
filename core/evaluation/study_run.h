#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/client/worker_client.h"
#include "core/evaluation/study_grid.h"
#include "core/formats/qa_model.h"

namespace canopy::evaluation {

/// Questions about a clip that were answered rightly.
struct Followed {
    int right = 0;
    int asked = 0;
    bool operator==(const Followed&) const = default;
};

/// One clip of a study.
struct StudyResult {
    std::size_t prompt = 0, seed = 0, arm = 0;
    int repeat = 0;
    double denoiseSeconds = 0;
    double decodeSeconds = 0;
    std::optional<double> density;     ///< kept pairs over all pairs, mean over all calls, dense ones as 1
    std::optional<double> reusedShare; ///< of heads in sparse calls
    std::optional<double> estimateSeconds, attentionSeconds; ///< of the sparse policy's calls
    /// Against the reference arm's clip of the same prompt and seed, in RGB; none for that clip itself.
    std::optional<double> psnr, ssim, worstPsnr;
    /// dB of each block of a clip made in blocks, or of the reference's blocks; empty where neither has any.
    std::vector<double> blockPsnr;
    std::optional<double> hitRate; ///< reused steps of blocks over all
    std::optional<double> flop,
        flopEstimate;                 ///< of the sampling loop: counted in the engine; by its cost model
    std::optional<Followed> followed; ///< none without questions or model
    Value summary;                    ///< figures of the worker: whatever its settings make it tell
};
Value toValue(const StudyResult& result);
StudyResult studyResultFromValue(const Value& value);

struct StudyProgress {
    std::size_t done = 0, clips = 0; ///< of this run's part
    std::string arm;
    double remainingSeconds = 0; ///< from the clips of this run; 0 = unknown
};

struct StudyOptions {
    StudyGrid grid; ///< prepared
    ModelRecord model;
    std::optional<QaModelRecord> qaModel; ///< asks the prompts' questions; none = nobody asks
    std::filesystem::path folder;         ///< journal and scratch files
    /// Of several runs beside each other in one folder: this one makes the clips of every `parts`th prompt
    /// from `part` (from 0) on. Each finds what the others have made, so that a later run without parts has
    /// nothing left to do. Their times disturb each other.
    int part = 0, parts = 1;
    std::vector<std::size_t> only; ///< arms whose clips are made now, beside the reference; empty = all
    bool readOnly = false;         ///< no clip is made; the outcome is what lies in the folder
    client::WorkerClientOptions worker;
    std::function<void(const StudyProgress&)> progress; ///< on the caller's thread; may be empty
};

struct StudyOutcome {
    std::vector<StudyResult> results;
    Followed drawn;      ///< the same questions on the drawn clips
    std::string machine; ///< "cpu, 2 threads, fp32", as the worker resolved it
};

/// Makes every clip on a worker of its own: for each prompt and seed the reference, then the other arms in an
/// order that is rotated from one prompt to the next, so that a machine that slows down slows all arms. A
/// clip that is thrown away goes first. Results are kept in the folder's journal; the same call goes on
/// there. Cancelled when `stop` was requested.
Result<StudyOutcome> runStudy(StudyOptions options, std::stop_token stop);

} // namespace canopy::evaluation
