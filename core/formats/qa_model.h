#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

enum class QaFamily : std::uint8_t { LlavaOneVision, LlavaVideo };
std::string_view qaFamilyName(QaFamily family); ///< "llava-onevision", "llava-video"

/// SigLIP vision tower as the host runs it: `layers` blocks, the last one's output, no post-layernorm.
/// token-forest.md 1.4.
struct SiglipConfig {
    int imageSize = 384; ///< pixels, square
    int patch = 14;
    int width = 1152;
    int heads = 16;
    int layers = 26;
    int mlpDim = 4304;
    double eps = 1e-6;
    int gridSide() const {
        return patch > 0 ? imageSize / patch : 0;
    } ///< patches a side; border pixels unused
};

/// Qwen2 language model. token-forest.md 1.8.
struct Qwen2Config {
    int vocabulary = 0;
    int width = 0;
    int layers = 0;
    int heads = 0;
    int kvHeads = 0;
    int headDim = 0;
    int mlpDim = 0;
    double ropeTheta = 1e6;
    double eps = 1e-6;
    bool tiedEmbeddings = false;
    int maxPositions = 32768;
};

/// How a host lays video tokens out. token-forest.md 1.5, 1.6.
enum class HostPooling : std::uint8_t { Bilinear, Average };
enum class HostNewlines : std::uint8_t { OneToken, Grid, Frame, None };

struct QaDefaults {
    std::string label;
    int frames = 32; ///< sampled from a video
    int framesMax = 64;
    bool timeInstruction = false;
    bool forceFrames = true;            ///< sample `frames` also of shorter clips
    bool starter = false;               ///< set for models of builtinModelFolder(), never by a file
    std::vector<std::string> questions; ///< suggested ones; from canopy.json
};

/// One video question-answering model, read from headers and small files only.
struct QaModelRecord {
    std::string id; ///< "llava-onevision-1a2b3c4d": family plus short hash of the weights' headers
    QaFamily family = QaFamily::LlavaOneVision;
    std::filesystem::path root;
    std::vector<std::filesystem::path> weightFiles; ///< in shard order
    std::filesystem::path tokenizerFile;            ///< tokenizer.json or vocab.json
    std::filesystem::path mergesFile;               ///< merges.txt beside a vocab.json; else empty
    std::filesystem::path licenceFile;
    SiglipConfig vision;
    Qwen2Config language;
    HostPooling pooling = HostPooling::Bilinear;
    HostNewlines newlines = HostNewlines::OneToken;
    std::vector<double> imageMean = {0.5, 0.5, 0.5};
    std::vector<double> imageStd = {0.5, 0.5, 0.5};
    std::vector<std::int32_t> stopIds; ///< <|im_end|>, <|endoftext|>
    QaDefaults defaults;
    std::uint64_t weightBytes = 0; ///< on disk
    std::uint64_t visionParameters = 0;
    std::uint64_t languageParameters = 0; ///< projector and newline included
    std::vector<std::string> missing;     ///< parts that are not there, as sentences; empty = can run

    /// Cells a side of a frame after pooling: ceil(side / 2) bilinear, floor(side / 2) average.
    int cellsPerSide(HostPooling with) const;
};

/// Bounds and divisibility of every field. The message names the field as config.json does.
Result<void> checkQaModel(const QaModelRecord& record);

/// One model at `path`: a Hugging Face folder (LlavaOnevisionForConditionalGeneration) or one in the original
/// LLaVA layout (LlavaQwenForCausalLM), chosen from the tensors, single file or sharded index. Reads headers
/// and small files only. What is no video question-answering model of a known family is an error.
Result<QaModelRecord> scanQaModel(const std::filesystem::path& path);

struct QaScanResult {
    std::filesystem::path path;
    QaModelRecord record;
    /// Set when the folder holds a model of a known family that cannot be read. Then the record has a root, a
    /// label and this sentence in `missing`, and no id.
    std::optional<Error> error;
};

/// Whether config.json of a folder, or of a Hugging Face cache's snapshot, names a class that is read here.
bool isQaModelFolder(const std::filesystem::path& folder);

/// Every such model at or below a folder, ordered by path; the same limits as scanFolder().
std::vector<QaScanResult> scanQaFolder(const std::filesystem::path& folder);

class ModelFolders;
/// Models that came with the program first, then those of the person's folders.
std::vector<QaScanResult> scanQaModels(const ModelFolders& folders);
/// What `--model` names: an id among all known models, or a path. Empty = the first that can run.
Result<QaModelRecord> findQaModel(std::string_view idOrPath, const ModelFolders& folders);

} // namespace canopy
