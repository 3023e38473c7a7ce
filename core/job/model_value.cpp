#include "core/job/model_value.h"

#include <array>
#include <filesystem>
#include <string>
#include <utility>

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

template <typename V, typename C>
void visitModel(V& v, C& c) {
    v("id", c.id), v("family", c.family), v("root", c.root), v("transformer_files", c.transformerFiles);
    v("vae_files", c.vaeFiles), v("text_encoder_files", c.textEncoderFiles), v("tokenizer", c.tokenizerFile);
    v("licence", c.licenceFile), v("weight_bytes", c.weightBytes);
    v("transformer_parameters", c.transformerParameters), v("text_parameters", c.textParameters);
    v("vae_parameters", c.vaeParameters), v("missing", c.missing);
    v.group("dit", [&](auto& g) { visitDit(g, c.dit); });
    v.group("vae", [&](auto& g) { visitVae(g, c.vae); });
    v.group("text", [&](auto& g) { visitText(g, c.text); });
    v.group("defaults", [&](auto& g) { visitDefaults(g, c.defaults); });
}

class FieldWriter {
public:
    explicit FieldWriter(Value& out)
        : m_out(out) {}
    template <typename T>
    void operator()(std::string_view key, const T& field) {
        m_out.set(key, make(field));
    }
    template <typename Visit>
    void group(std::string_view key, Visit visit) {
        Value inner{Value::Map{}};
        FieldWriter writer(inner);
        visit(writer);
        m_out.set(key, std::move(inner));
    }

private:
    static Value make(const std::filesystem::path& path) { return Value(path.string()); }
    static Value make(ModelFamily family) { return Value(modelFamilyName(family)); }
    template <typename T>
    static Value make(const T& field) {
        if constexpr (std::is_constructible_v<Value, const T&>) {
            return Value(field);
        } else {
            Value::Array list;
            for (const auto& item : field) {
                list.push_back(make(item));
            }
            return Value(std::move(list));
        }
    }
    Value& m_out;
};

class FieldReader {
public:
    explicit FieldReader(const Value& in)
        : m_in(in) {}
    template <typename T>
    void operator()(std::string_view key, T& field) {
        const Value& v = m_in[key];
        if (!v.isNull() && !take(v, field) && m_problem.empty()) {
            m_problem = key;
        }
    }
    template <typename Visit>
    void group(std::string_view key, Visit visit) {
        FieldReader reader(m_in[key]);
        visit(reader);
        if (!reader.m_problem.empty() && m_problem.empty()) {
            m_problem = std::string(key) + "." + reader.m_problem;
        }
    }
    const std::string& problem() const { return m_problem; }

private:
    static bool take(const Value& v, bool& field) { return field = v.asBool(), v.isBool(); }
    static bool take(const Value& v, int& field) {
        if (!v.isInt() || !std::in_range<int>(v.asInt())) {
            return false;
        }
        field = static_cast<int>(v.asInt());
        return true;
    }
    static bool take(const Value& v, std::uint64_t& field) {
        field = static_cast<std::uint64_t>(v.asInt());
        return v.isInt() && v.asInt() >= 0;
    }
    static bool take(const Value& v, double& field) { return field = v.asDouble(), v.isNumber(); }
    static bool take(const Value& v, std::string& field) { return field = v.asString(), v.isString(); }
    static bool take(const Value& v, std::filesystem::path& field) {
        field = v.asString();
        return v.isString();
    }
    static bool take(const Value& v, ModelFamily& field) {
        for (const ModelFamily known : {ModelFamily::WanT2v, ModelFamily::SkyReelsDf}) {
            if (v.asString() == modelFamilyName(known)) {
                field = known;
                return true;
            }
        }
        return false;
    }
    template <typename T, std::size_t N>
    static bool take(const Value& v, std::array<T, N>& field) {
        bool ok = v.asArray().size() == N;
        for (std::size_t i = 0; ok && i < N; ++i) {
            ok = take(v.asArray()[i], field[i]);
        }
        return ok;
    }
    template <typename T>
    static bool take(const Value& v, std::vector<T>& field) {
        field.clear();
        for (const Value& item : v.asArray()) {
            T one{};
            if (!take(item, one)) {
                return false;
            }
            field.push_back(std::move(one));
        }
        return v.isArray();
    }

    const Value& m_in;
    std::string m_problem;
};

Error wrongField(std::string_view what, std::string_view field) {
    return makeError(ErrorCode::Malformed,
                     "The " + std::string(what) + " cannot be read: its field '" + std::string(field) +
                         "' has another type than expected. Window and engine must be of the "
                         "same version.");
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
