#include "core/formats/model_config.h"

#include <algorithm>

#include "core/formats/config_bounds.h"

namespace canopy {

std::string_view modelFamilyName(ModelFamily family) {
    return family == ModelFamily::SkyReelsDf ? "skyreels-df" : "wan-t2v";
}

Result<void> checkConfig(const DitConfig& c) {
    ConfigBounds b;
    b.integer("num_attention_heads", c.heads, 1, 128).integer("attention_head_dim", c.headDim, 4, 256);
    b.even("attention_head_dim", c.headDim).integer("num_layers", c.layers, 1, 128);
    b.integer("ffn_dim", c.ffnDim, 1, 131072).integer("text_dim", c.textDim, 1, 16384);
    b.integer("freq_dim", c.freqDim, 2, 4096).even("freq_dim", c.freqDim);
    b.integer("in_channels", c.inChannels, 1, 64).integer("out_channels", c.outChannels, 1, 64);
    for (const int p : c.patch)
        b.integer("patch_size", p, 1, 8);
    b.real("eps", c.eps, 1e-12, 0.1);
    const double width = static_cast<double>(c.heads) * c.headDim;
    b.parameters(c.layers * width * (8 * width + 2.0 * c.ffnDim));
    return b.result();
}

Result<void> checkConfig(const VaeConfig& c) {
    ConfigBounds b;
    b.integer("base_dim", c.baseDim, 1, 1024).integer("z_dim", c.latentChannels, 1, 64);
    // Strides 4 x 8 x 8: three halvings of rows and columns, two of frames.
    b.integer("length of dim_mult", static_cast<std::int64_t>(c.dimMultipliers.size()), 4, 4);
    b.integer("length of temperal_downsample", static_cast<std::int64_t>(c.temporalDownsample.size()), 3, 3);
    int halvings = 0;
    for (const bool down : c.temporalDownsample)
        halvings += down ? 1 : 0;
    b.integer("temperal_downsample, number of true", halvings, 2, 2);
    int largest = 1;
    for (const int m : c.dimMultipliers) {
        b.integer("dim_mult", m, 1, 16);
        largest = std::max(largest, m);
    }
    b.integer("num_res_blocks", c.resBlocks, 1, 8);
    const std::int64_t z = c.latentChannels;
    b.integer("length of latents_mean", static_cast<std::int64_t>(c.latentsMean.size()), z, z);
    b.integer("length of latents_std", static_cast<std::int64_t>(c.latentsStd.size()), z, z);
    for (const double mean : c.latentsMean)
        b.real("latents_mean", mean, -1e4, 1e4);
    for (const double deviation : c.latentsStd)
        b.real("latents_std", deviation, 1e-6, 1e4);
    const double width = static_cast<double>(c.baseDim) * largest;
    b.parameters(27.0 * width * width * (c.resBlocks * 4 + 4) * 4);
    return b.result();
}

Result<void> checkConfig(const Umt5Config& c) {
    ConfigBounds b;
    b.integer("vocab_size", c.vocabulary, 1, 1 << 20).integer("d_model", c.modelDim, 1, 16384);
    b.integer("d_kv", c.headDim, 1, 512).integer("num_heads", c.heads, 1, 256);
    b.integer("d_ff", c.ffnDim, 1, 131072).integer("num_layers", c.layers, 1, 128);
    b.integer("relative_attention_num_buckets", c.relativeBuckets, 4, 1024);
    b.even("relative_attention_num_buckets", c.relativeBuckets);
    b.integer("relative_attention_max_distance", c.relativeMaxDistance, c.relativeBuckets / 2, 1 << 20);
    b.real("layer_norm_epsilon", c.eps, 1e-12, 0.1);
    b.integer("pad_token_id", c.padId, 0, c.vocabulary - 1)
        .integer("eos_token_id", c.eosId, 0, c.vocabulary - 1);
    b.parameters(static_cast<double>(c.vocabulary) * c.modelDim +
                 c.layers * static_cast<double>(c.modelDim) * (4.0 * c.heads * c.headDim + 3.0 * c.ffnDim));
    return b.result();
}

Result<void> checkDefaults(const ModelDefaults& d) {
    ConfigBounds b;
    b.text("label", d.label, 200).text("negative_prompt", d.negativePrompt, 16384);
    b.integer("text_length", d.textLength, 1, 4096).integer("fps", d.fps, 1, 120);
    b.integer("fps_index", d.fpsIndex, 0, 1).real("shift", d.shift, 0.01, 100);
    b.integer("steps", d.steps, 1, 1000).real("guidance", d.guidance, 0, 100);
    b.integer("number of sizes", static_cast<std::int64_t>(d.sizes.size()), 1, 64);
    for (const auto& size : d.sizes)
        b.integer("sizes", size[0], 16, 8192).integer("sizes", size[1], 16, 8192);
    b.integer("frames.trained", d.framesTrainedMin, 1, 100000);
    b.integer("frames.trained", d.framesTrainedMax, d.framesTrainedMin, 100000);
    b.integer("frames.default", d.framesDefault, 1, 100000).integer("frames.step", d.framesStep, 1, 1024);
    b.integer("block_latent_frames", d.blockLatentFrames, 0, 1024);
    return b.result();
}

Result<void> checkModelRecord(const ModelRecord& r) {
    ConfigBounds b;
    b.text("id", r.id, 200);
    b.integer(
        "number of weight files",
        static_cast<std::int64_t>(r.transformerFiles.size() + r.vaeFiles.size() + r.textEncoderFiles.size()),
        0, 4096);
    b.integer("number of missing parts", static_cast<std::int64_t>(r.missing.size()), 0, 64);
    if (auto ok = b.result(); !ok)
        return ok;
    if (auto ok = checkDefaults(r.defaults); !ok)
        return ok;
    if (auto ok = checkConfig(r.dit); !ok)
        return ok;
    if (r.dit.family != r.family)
        return makeError(ErrorCode::Mismatch, "The model's record names two families");
    if (!r.vaeFiles.empty()) {
        if (auto ok = checkConfig(r.vae); !ok)
            return ok;
        if (r.vae.latentChannels != r.dit.inChannels)
            return makeError(ErrorCode::Mismatch,
                             "The autoencoder makes " + std::to_string(r.vae.latentChannels) +
                                 " latent channels and the transformer takes " +
                                 std::to_string(r.dit.inChannels) + "; get both from the same publisher");
    }
    if (!r.textEncoderFiles.empty()) {
        if (auto ok = checkConfig(r.text); !ok)
            return ok;
        if (r.text.modelDim != r.dit.textDim)
            return makeError(ErrorCode::Mismatch,
                             "The text encoder makes vectors of " + std::to_string(r.text.modelDim) +
                                 " numbers and the transformer takes " + std::to_string(r.dit.textDim) +
                                 "; get both from the same publisher");
    }
    return {};
}

} // namespace canopy
