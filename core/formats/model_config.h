#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

enum class ModelFamily { WanT2v, SkyReelsDf };
std::string_view modelFamilyName(ModelFamily family); ///< "wan-t2v", "skyreels-df"

/// Names in which weights lie. Chosen from the tensors, never from file names.
enum class KeyLayout { Diffusers, Original };

/// Wan 2.1 / SkyReels-V2 transformer. Width C = heads * headDim.
struct DitConfig {
    ModelFamily family = ModelFamily::WanT2v;
    int heads = 0;
    int headDim = 0;
    int layers = 0;
    int ffnDim = 0;
    int textDim = 0;
    int freqDim = 256;
    int inChannels = 16;
    int outChannels = 16;
    std::array<int, 3> patch = {1, 2, 2}; ///< latent frames, rows, columns
    bool crossAttentionNorm = true;
    bool fpsEmbedding = false; ///< SkyReels' inject_sample_info
    double eps = 1e-6;
    int width() const { return heads * headDim; }
};

/// Wan 2.1 causal 3-D autoencoder, strides 4 x 8 x 8.
struct VaeConfig {
    int baseDim = 96;
    int latentChannels = 16;
    std::vector<int> dimMultipliers = {1, 2, 4, 4};
    int resBlocks = 2;
    std::vector<bool> temporalDownsample = {false, true, true};
    std::vector<double> latentsMean; ///< per latent channel
    std::vector<double> latentsStd;
};

struct Umt5Config {
    int vocabulary = 0;
    int modelDim = 0;
    int headDim = 0;
    int heads = 0;
    int ffnDim = 0;
    int layers = 0;
    int relativeBuckets = 32;
    int relativeMaxDistance = 128;
    double eps = 1e-6;
    int padId = 0;
    int eosId = 1;
};

/// What a public layout cannot say: from `canopy.json` (closed key set, versioned) beside model_index.json,
/// or for known public checkpoints from one built-in table. No such constant stands elsewhere in code.
struct ModelDefaults {
    std::string label;
    int textLength = 512;
    int fps = 16;
    int fpsIndex = 0;
    double shift = 5;
    int steps = 50;
    double guidance = 5;
    std::string negativePrompt;
    std::vector<std::array<int, 2>> sizes; ///< width, height in pixels; the first is the default
    int framesDefault = 81;
    int framesTrainedMin = 1;
    int framesTrainedMax = 81;
    int framesStep = 4;
    int blockLatentFrames = 0; ///< 0 = not trained chunk-wise
    bool starter = false;      ///< set for models of builtinModelFolder(), never by a file
};

/// A folder or set of single files that together make one video model, read from headers only.
struct ModelRecord {
    std::string id; ///< "skyreels-df-1a2b3c4d": family plus short hash of the transformer's header
    ModelFamily family = ModelFamily::WanT2v;
    std::filesystem::path root;
    /// Weight files of each part in shard order; empty = the part is missing.
    std::vector<std::filesystem::path> transformerFiles;
    std::vector<std::filesystem::path> vaeFiles;
    std::vector<std::filesystem::path> textEncoderFiles;
    std::filesystem::path tokenizerFile; ///< spiece.model or tokenizer.json
    std::filesystem::path licenceFile;   ///< empty = none found
    DitConfig dit;
    VaeConfig vae;
    Umt5Config text;
    ModelDefaults defaults;
    std::uint64_t weightBytes = 0; ///< on disk, all parts
    std::uint64_t transformerParameters = 0;
    std::uint64_t textParameters = 0;
    std::uint64_t vaeParameters = 0;
    std::vector<std::string> missing; ///< parts that are not there, as sentences; empty = can run
};

/// Bounds and divisibility of every field, then the number of parameters that they imply: nothing may be made
/// from a config that was not checked. The message names the field as config.json does ("num_layers =
/// 1000000000").
Result<void> checkConfig(const DitConfig& config);
Result<void> checkConfig(const VaeConfig& config);
Result<void> checkConfig(const Umt5Config& config);
Result<void> checkDefaults(const ModelDefaults& defaults);
/// All of the above and that the parts fit together. A record that crossed a channel is checked before it is
/// used.
Result<void> checkModelRecord(const ModelRecord& record);

} // namespace canopy
