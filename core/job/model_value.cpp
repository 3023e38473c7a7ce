#include "core/job/model_value.h"

#include <array>
#include <string>
#include <utility>

#include "core/job/record_fields.h"

namespace canopy {
namespace {

// ---- The fields of each struct, once. visit() serves writing (const) and reading.

template <typename V, typename C>
void visitDit(V& v, C& c) {
    v("heads", c.heads), v("head_dim", c.headDim), v("layers", c.layers), v("ffn_dim", c.ffnDim);
    v("text_dim", c.textDim), v("freq_dim", c.freqDim), v("in_channels", c.inChannels);
    v("out_channels", c.outChannels), v("patch", c.patch), v("cross_attention_norm", c.crossAttentionNorm);
    v("fps_embedding", c.fpsEmbedding), v("eps", c.eps);
}

template <typename V, typename C>
void visitVae(V& v, C& c) {
    v("base_dim", c.baseDim), v("latent_channels", c.latentChannels), v("dim_multipliers", c.dimMultipliers);
    v("res_blocks", c.resBlocks), v("temporal_downsample", c.temporalDownsample);
    v("latents_mean", c.latentsMean), v("latents_std", c.latentsStd);
}

template <typename V, typename C>
void visitText(V& v, C& c) {
    v("vocabulary", c.vocabulary), v("model_dim", c.modelDim), v("head_dim", c.headDim), v("heads", c.heads);
    v("ffn_dim", c.ffnDim), v("layers", c.layers), v("relative_buckets", c.relativeBuckets);
    v("relative_max_distance", c.relativeMaxDistance), v("eps", c.eps), v("pad_id", c.padId);
    v("eos_id", c.eosId);
}

template <typename V, typename C>
void visitDefaults(V& v, C& c) {
    v("label", c.label), v("text_length", c.textLength), v("fps", c.fps), v("fps_index", c.fpsIndex);
    v("shift", c.shift), v("steps", c.steps), v("guidance", c.guidance), v("negative", c.negativePrompt);
    v("sizes", c.sizes), v("frames_default", c.framesDefault), v("frames_trained_min", c.framesTrainedMin);
    v("frames_trained_max", c.framesTrainedMax), v("frames_step", c.framesStep);
    v("block_latent_frames", c.blockLatentFrames), v("starter", c.starter);
}

constexpr std::array kFamilies = {ModelFamily::WanT2v, ModelFamily::SkyReelsDf};

template <typename V, typename C>
void visitModel(V& v, C& c) {
    v("id", c.id), v("root", c.root), v("transformer_files", c.transformerFiles);
    v.named("family", c.family, kFamilies, &modelFamilyName);
    v("vae_files", c.vaeFiles), v("text_encoder_files", c.textEncoderFiles), v("tokenizer", c.tokenizerFile);
    v("licence", c.licenceFile), v("weight_bytes", c.weightBytes);
    v("transformer_parameters", c.transformerParameters), v("text_parameters", c.textParameters);
    v("vae_parameters", c.vaeParameters), v("missing", c.missing);
    v.group("dit", [&](auto& g) { visitDit(g, c.dit); });
    v.group("vae", [&](auto& g) { visitVae(g, c.vae); });
    v.group("text", [&](auto& g) { visitText(g, c.text); });
    v.group("defaults", [&](auto& g) { visitDefaults(g, c.defaults); });
}

} // namespace

Value toValue(const ModelRecord& model) {
    Value out{Value::Map{}};
    FieldWriter writer(out);
    visitModel(writer, model);
    return out;
}

Result<ModelRecord> modelRecordFromValue(const Value& value) {
    if (!value.isMap()) {
        return wrongField("model record", "record");
    }
    ModelRecord model;
    FieldReader reader(value);
    visitModel(reader, model);
    if (!reader.problem().empty()) {
        return wrongField("model record", reader.problem());
    }
    model.dit.family = model.family;
    if (auto sound = checkModelRecord(model); !sound) {
        return sound.error();
    }
    return model;
}

Value toValue(const MemoryPlan& plan) {
    Value::Array stages;
    for (const MemoryStage& stage : plan.stages) {
        Value::Array items;
        for (const MemoryItem& item : stage.items) {
            Value one;
            one.set("category", memoryCategoryName(item.category));
            one.set("device", deviceName(item.device));
            one.set("bytes", item.bytes);
            items.push_back(std::move(one));
        }
        Value one;
        one.set("name", stage.name).set("items", std::move(items));
        stages.push_back(std::move(one));
    }
    Value out;
    out.set("stages", std::move(stages));
    return out;
}

Result<MemoryPlan> memoryPlanFromValue(const Value& value) {
    constexpr std::array kCategories = {MemoryCategory::Runtime,     MemoryCategory::Weights,
                                        MemoryCategory::TextEncoder, MemoryCategory::Activations,
                                        MemoryCategory::Latents,     MemoryCategory::Vae,
                                        MemoryCategory::Frames,      MemoryCategory::KeyValues};
    MemoryPlan plan;
    if (!value["stages"].isArray()) {
        return wrongField("memory plan", "stages");
    }
    for (const Value& stage : value["stages"].asArray()) {
        MemoryStage out;
        out.name = stage["name"].asString();
        for (const Value& item : stage["items"].asArray()) {
            MemoryItem one{MemoryCategory::Runtime, DeviceKind::Cpu, 0};
            bool known = false;
            for (const MemoryCategory category : kCategories) {
                if (memoryCategoryName(category) == item["category"].asString()) {
                    one.category = category;
                    known = true;
                }
            }
            if (!known || !item["bytes"].isInt() || item["bytes"].asInt() < 0) {
                return wrongField("memory plan", "items");
            }
            one.device = item["device"].asString() == deviceName(DeviceKind::Cuda) ? DeviceKind::Cuda
                                                                                   : DeviceKind::Cpu;
            one.bytes = static_cast<std::uint64_t>(item["bytes"].asInt());
            out.items.push_back(one);
        }
        plan.stages.push_back(std::move(out));
    }
    return plan;
}

} // namespace canopy
