#include "core/formats/model_scan.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/file_error.h"
#include "core/base/files.h"
#include "core/formats/known_models.h"
#include "core/formats/model_config_json.h"
#include "core/formats/model_folders.h"
#include "core/formats/part_tensors.h"
#include "core/formats/qa_model.h"
#include "core/formats/scan_folders.h"
#include "core/formats/weight_groups.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

std::string withArticle(ModelPart part) {
    return (part == ModelPart::Vae ? "an " : "a ") + std::string(modelPartName(part));
}

/// A part with the files that hold it.
struct FoundPart {
    PartTensors tensors;
    std::vector<fs::path> files;
};

/// Opens each group once per scan, however many models look at it.
class PartCatalog {
public:
    const Result<FoundPart>& part(const WeightGroup& group) {
        const fs::path key = group.index.empty() ? group.files.front() : group.index;
        if (const auto known = m_parts.find(key); known != m_parts.end())
            return known->second;
        return m_parts.emplace(key, read(group)).first->second;
    }

    static Result<FoundPart> read(const WeightGroup& group, int headDim = 128) {
        const auto files = openGroup(group);
        if (!files)
            return files.error();
        auto tensors = recognisePart(*files, headDim);
        if (!tensors)
            return inFile(files->files().front(), tensors.error());
        return FoundPart{std::move(*tensors), files->files()};
    }

private:
    std::map<fs::path, Result<FoundPart>> m_parts;
};

fs::path tokenizerIn(const fs::path& folder) {
    for (const char* name : {"spiece.model", "tokenizer.json"})
        if (isFile(folder / name))
            return folder / name;
    return {};
}

/// The transformer's identity, its defaults and everything that is derived from the parts.
Result<ModelRecord> finish(ModelRecord r, const std::string& name) {
    const auto transformer = Checkpoint::open(r.transformerFiles);
    if (!transformer)
        return transformer.error();
    const auto hash = shortHash(*transformer);
    if (!hash)
        return hash.error();
    r.dit.family = r.family;
    r.id = std::string(modelFamilyName(r.family)) + "-" + *hash;
    if (isFile(r.root / "canopy.json")) {
        const auto json = readConfigFile(r.root / "canopy.json");
        if (!json)
            return json.error();
        auto defaults = parseModelDefaults(*json);
        if (!defaults)
            return inFile(r.root / "canopy.json", defaults.error());
        r.defaults = std::move(*defaults);
    } else {
        r.defaults = knownModelDefaults(r.dit, name);
    }
    r.defaults.starter = isInside(r.root, builtinModelFolder());
    const fs::path folder = isFolder(r.root) ? r.root : r.root.parent_path();
    r.licenceFile = licenceIn(folder);
    if (r.tokenizerFile.empty())
        r.missing.push_back("The tokenizer is missing: put spiece.model or tokenizer.json of umt5-xxl into " +
                            (folder / "tokenizer").string());
    if (auto ok = checkModelRecord(r); !ok)
        return inFile(r.root, ok.error());
    return r;
}

// ---- diffusers folders
// ----------------------------------------------------------------------------------------------

/// The one group of a component's folder: without a variant in its name where there are several
/// ("model.fp16...").
Result<WeightGroup> componentGroup(const fs::path& folder, std::string_view what) {
    const auto groups = weightGroups(folder);
    for (const auto& group : groups)
        if (group.name.starts_with("diffusion_pytorch_model.safetensors") ||
            group.name.starts_with("model.safetensors") ||
            group.name.starts_with("diffusion_pytorch_model-0") || group.name.starts_with("model-0"))
            return group;
    if (!groups.empty())
        return groups.front();
    const auto archives = torchArchives(folder);
    if (!archives.empty())
        return makeError(ErrorCode::Unsupported,
                         "The " + std::string(what) +
                             " is there as a Torch archive only, which can run programs and is "
                             "never read; convert it to safetensors: " +
                             archives.front().string());
    return makeError(ErrorCode::NotFound,
                     "The " + std::string(what) + " is missing: no safetensors file in " + folder.string());
}

template <typename Config>
Result<Config> configOf(const fs::path& folder, Result<Config> (*parse)(const Value&)) {
    const auto json = readConfigFile(folder / "config.json");
    if (!json)
        return json.error();
    auto config = parse(*json);
    if (!config)
        return inFile(folder / "config.json", config.error());
    return config;
}

Error differs(std::string_view what, std::string_view field, int config, int weights,
              const fs::path& folder) {
    return makeError(ErrorCode::Mismatch,
                     "The " + std::string(what) + "'s config.json and its weights differ: " +
                         std::string(field) + " is " + std::to_string(config) + " and " +
                         std::to_string(weights) + "; download both again: " + folder.string());
}

struct Compared {
    std::string_view field;
    int config, weights;
};

Result<void> compare(std::string_view what, const fs::path& folder, std::initializer_list<Compared> fields) {
    for (const auto& f : fields)
        if (f.config != f.weights)
            return differs(what, f.field, f.config, f.weights, folder);
    return {};
}

/// Recognises the weights of a component and says when they are something else.
Result<FoundPart> componentPart(const fs::path& folder, ModelPart part, int headDim = 128) {
    const auto group = componentGroup(folder, modelPartName(part));
    if (!group)
        return group.error();
    auto found = PartCatalog::read(*group, headDim);
    if (found && found->tensors.part != part)
        return makeError(ErrorCode::Mismatch, "Expected " + withArticle(part) + " and found " +
                                                  withArticle(found->tensors.part) + ": " + folder.string());
    return found;
}

Result<void> addVae(ModelRecord& r, const fs::path& folder) {
    auto config = configOf(folder, &parseVaeConfig);
    if (!config)
        return config.error();
    const auto group = componentGroup(folder, modelPartName(ModelPart::Vae));
    if (!group)
        return group.error();
    const auto files = openGroup(*group);
    if (!files)
        return files.error();
    // recognisePart knows autoencoders without a config only when they have Wan's latent channels.
    std::uint64_t parameters = 0;
    for (const auto& name : files->names())
        parameters += isStorageTensor(name) ? 0 : files->find(name)->elements();
    const auto* in = files->find("encoder.conv_in.weight");
    if (!in)
        in = files->find("encoder.conv1.weight");
    if (!in || in->shape.size() != 5 || in->shape[0] > 100000)
        return makeError(ErrorCode::Mismatch,
                         "The autoencoder's weights belong to another kind of model: " + folder.string());
    if (auto same =
            compare("autoencoder", folder, {{"base_dim", config->baseDim, static_cast<int>(in->shape[0])}});
        !same)
        return same;
    r.vae = std::move(*config);
    r.vaeFiles = files->files();
    r.vaeParameters = parameters;
    r.weightBytes += files->totalBytes();
    return {};
}

Result<void> addTextEncoder(ModelRecord& r, const fs::path& folder) {
    auto config = configOf(folder, &parseUmt5Config);
    if (!config)
        return config.error();
    auto found = componentPart(folder, ModelPart::TextEncoder);
    if (!found)
        return found.error();
    const auto& t = found->tensors.text;
    if (auto same = compare("text encoder", folder,
                            {{"vocab_size", config->vocabulary, t.vocabulary},
                             {"d_model", config->modelDim, t.modelDim},
                             {"num_heads", config->heads, t.heads},
                             {"d_kv", config->headDim, t.headDim},
                             {"d_ff", config->ffnDim, t.ffnDim},
                             {"num_layers", config->layers, t.layers},
                             {"relative_attention_num_buckets", config->relativeBuckets, t.relativeBuckets}});
        !same)
        return same;
    r.text = *config;
    r.textEncoderFiles = std::move(found->files);
    r.textParameters = found->tensors.parameters;
    r.weightBytes += found->tensors.bytes;
    return {};
}

Result<void> addTransformer(ModelRecord& r, const fs::path& folder) {
    auto config = configOf(folder, &parseDitConfig);
    if (!config)
        return config.error();
    auto found = componentPart(folder, ModelPart::Transformer, config->headDim);
    if (!found)
        return found.error();
    const auto& t = found->tensors.dit;
    if (auto same = compare("transformer", folder,
                            {{"num_attention_heads", config->heads, t.heads},
                             {"num_layers", config->layers, t.layers},
                             {"ffn_dim", config->ffnDim, t.ffnDim},
                             {"text_dim", config->textDim, t.textDim},
                             {"freq_dim", config->freqDim, t.freqDim},
                             {"in_channels", config->inChannels, t.inChannels},
                             {"out_channels", config->outChannels, t.outChannels},
                             {"patch_size", config->patch[1], t.patch[1]},
                             {"cross_attn_norm", config->crossAttentionNorm, t.crossAttentionNorm},
                             {"inject_sample_info", config->fpsEmbedding, t.fpsEmbedding}});
        !same)
        return same;
    r.dit = *config;
    r.family = config->family;
    r.transformerFiles = std::move(found->files);
    r.transformerParameters = found->tensors.parameters;
    r.weightBytes += found->tensors.bytes;
    return {};
}

/// A part that is not there is a sentence of the record; a part that is there and wrong ends the scan.
Result<void> missingOr(ModelRecord& r, Result<void> added) {
    if (added || (added.error().code != ErrorCode::NotFound && added.error().code != ErrorCode::Unsupported))
        return added;
    r.missing.push_back(added.error().message);
    return {};
}

Result<ModelRecord> scanDiffusers(const fs::path& root, const std::string& name) {
    const auto index = readConfigFile(root / "model_index.json");
    if (!index)
        return index.error();
    const auto& second = (*index)["transformer_2"].asArray();
    if (!second.empty() && !second.front().isNull())
        return makeError(ErrorCode::Unsupported,
                         "This model has two transformers, as Wan 2.2 has; expected Wan 2.1 or "
                         "SkyReels-V2: " +
                             root.string());
    ModelRecord r;
    r.root = root;
    if (auto added = addTransformer(r, root / "transformer"); !added)
        return added.error();
    // SkyReels-V2 text-to-video has the transformer of diffusion forcing and one time for all frames.
    if (const auto& pipeline = (*index)["_class_name"]; pipeline.asString() == "SkyReelsV2Pipeline")
        r.family = ModelFamily::WanT2v;
    if (auto added = missingOr(r, addVae(r, root / "vae")); !added)
        return added.error();
    if (auto added = missingOr(r, addTextEncoder(r, root / "text_encoder")); !added)
        return added.error();
    r.tokenizerFile = tokenizerIn(root / "tokenizer");
    return finish(std::move(r), name);
}

// ---- releases in their own layout, and single files
// -----------------------------------------------------------------

/// Folders in which the other parts of a loose transformer may lie: its own, and the ones that ComfyUI and
/// the original repositories use, beside it and up to two levels above.
std::vector<fs::path> partFolders(const fs::path& folder) {
    std::vector<fs::path> out;
    fs::path base = folder;
    for (int level = 0; level < 3 && !base.empty(); ++level) {
        if (level == 0)
            out.push_back(base);
        for (const char* name :
             {"vae", "text_encoders", "text_encoder", "clip", "tokenizer", "google/umt5-xxl"})
            if (isFolder(base / name))
                out.push_back(base / name);
        if (base == base.parent_path())
            break;
        base = base.parent_path();
    }
    return out;
}

/// The family of a loose transformer: its tensors say it, except that SkyReels-V2 14B has the tensors of Wan
/// 14B; then the config.json of its release or, last, its name decides.
ModelFamily looseFamily(const DitConfig& dit, const fs::path& folder, const std::string& name) {
    if (dit.fpsEmbedding)
        return ModelFamily::SkyReelsDf;
    if (isFile(folder / "config.json")) {
        if (const auto json = readConfigFile(folder / "config.json");
            json && json->contains("inject_sample_info"))
            return ModelFamily::SkyReelsDf;
    }
    std::string lower = name;
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return nameSaysSkyReels(lower) && lower.find("t2v") == std::string::npos ? ModelFamily::SkyReelsDf
                                                                             : ModelFamily::WanT2v;
}

Result<ModelRecord> scanLoose(const fs::path& root, const FoundPart& transformer, const std::string& name,
                              PartCatalog& catalog) {
    const fs::path folder = transformer.files.front().parent_path();
    ModelRecord r;
    r.root = root;
    r.dit = transformer.tensors.dit;
    r.family = looseFamily(r.dit, folder, name);
    r.transformerFiles = transformer.files;
    r.transformerParameters = transformer.tensors.parameters;
    r.weightBytes = transformer.tensors.bytes;
    bool textHasTokenizer = false;
    std::vector<fs::path> archives;
    for (const auto& place : partFolders(folder)) {
        for (const auto& group : weightGroups(place)) {
            const auto& part = catalog.part(group);
            if (!part)
                continue;
            const auto& t = part->tensors;
            if (t.part == ModelPart::Vae && r.vaeFiles.empty() && t.vae.latentChannels == r.dit.inChannels) {
                r.vae = t.vae;
                r.vaeFiles = part->files;
                r.vaeParameters = t.parameters;
                r.weightBytes += t.bytes;
            } else if (t.part == ModelPart::TextEncoder && r.textEncoderFiles.empty() &&
                       t.text.modelDim == r.dit.textDim) {
                r.text = t.text;
                r.textEncoderFiles = part->files;
                r.textParameters = t.parameters;
                r.weightBytes += t.bytes;
                textHasTokenizer = t.holdsTokenizer;
            }
        }
        if (r.tokenizerFile.empty())
            r.tokenizerFile = tokenizerIn(place);
        const auto here = torchArchives(place);
        archives.insert(archives.end(), here.begin(), here.end());
    }
    if (r.tokenizerFile.empty() && textHasTokenizer)
        r.tokenizerFile = r.textEncoderFiles.front();
    const auto missing = [&](std::string_view what, std::string_view hint) {
        std::string sentence =
            "The " + std::string(what) + " is missing: no safetensors file of it beside the transformer";
        for (const auto& archive : archives)
            if (archive.filename().string().find(hint) != std::string::npos)
                sentence = "The " + std::string(what) +
                           " is there as a Torch archive only, which can run programs and is never read; "
                           "convert it to "
                           "safetensors: " +
                           archive.string();
        r.missing.push_back(sentence);
    };
    if (r.vaeFiles.empty())
        missing(modelPartName(ModelPart::Vae), "VAE");
    if (r.textEncoderFiles.empty())
        missing(modelPartName(ModelPart::TextEncoder), "t5");
    return finish(std::move(r), name);
}

/// Name for messages and hints: the file without its ending, with the folder before it.
std::string looseName(const fs::path& file) {
    return file.parent_path().filename().string() + "/" + file.stem().string();
}

// ---- one folder
// ------------------------------------------------------------------------------------------------------

/// Every loose transformer of a folder, and every group there that is an error by itself.
std::vector<ScanResult> scanLooseFolder(const fs::path& folder, const std::string& name,
                                        PartCatalog& catalog) {
    std::vector<ScanResult> out;
    std::vector<const FoundPart*> transformers;
    for (const auto& group : weightGroups(folder)) {
        const auto& part = catalog.part(group);
        if (!part) {
            const fs::path file = group.index.empty() ? group.files.front() : group.index;
            out.push_back({file, std::nullopt, inFile(file, part.error())});
        } else if (part->tensors.part == ModelPart::Transformer) {
            transformers.push_back(&*part);
        }
    }
    for (const auto* transformer : transformers) {
        const auto& file = transformer->files.front();
        // A release has one transformer and its config.json; then the folder is the model.
        const bool isRelease = transformers.size() == 1 && isFile(folder / "config.json");
        const fs::path root = isRelease || !name.empty() ? folder : file;
        const std::string label = !name.empty() ? name
                                  : isRelease   ? folder.filename().string()
                                                : looseName(file);
        auto record = scanLoose(root, *transformer, label, catalog);
        if (record)
            out.push_back({root, std::move(*record), std::nullopt});
        else
            out.push_back({root, std::nullopt, record.error()});
    }
    return out;
}

ScanResult asResult(const fs::path& path, Result<ModelRecord> record) {
    if (record)
        return {path, std::move(*record), std::nullopt};
    return {path, std::nullopt, record.error()};
}

Result<ModelRecord> scanModelFolder(const fs::path& folder, std::string name, PartCatalog& catalog) {
    if (isQaModelFolder(folder))
        return makeError(ErrorCode::Unsupported,
                         "This is a video question-answering model; it answers questions about videos and "
                         "makes none. Expected a text-to-video model: " +
                             folder.string());
    if (isCacheFolder(folder)) {
        const auto snapshot = snapshotOf(folder);
        if (!snapshot)
            return snapshot.error();
        return scanModelFolder(*snapshot, cacheName(folder), catalog);
    }
    if (isFile(folder / "model_index.json"))
        return scanDiffusers(folder, name.empty() ? folder.filename().string() : name);
    auto found = scanLooseFolder(folder, name, catalog);
    const auto records =
        std::count_if(found.begin(), found.end(), [](const ScanResult& r) { return r.record.has_value(); });
    if (records > 1)
        return makeError(ErrorCode::InvalidArgument,
                         "There are " + std::to_string(records) +
                             " transformers in this folder; name one of the files: " + folder.string());
    for (auto& result : found)
        if (result.record)
            return std::move(*result.record);
    if (!found.empty())
        return *found.front().error;
    const auto archives = torchArchives(folder);
    if (!archives.empty())
        return refuseTorchArchive(archives.front()).error();
    return makeError(ErrorCode::NotFound,
                     "There is no model in this folder; expected model_index.json or a transformer "
                     "as safetensors: " +
                         folder.string());
}

} // namespace

Result<ModelRecord> scanModel(const fs::path& path) {
    PartCatalog catalog;
    std::error_code failed;
    const auto status = fs::status(path, failed);
    if (failed || status.type() == fs::file_type::not_found)
        return makeError(ErrorCode::NotFound, "There is no such file or folder: " + path.string());
    const fs::path absolute = fs::absolute(path, failed).lexically_normal();
    fs::path clean = failed ? path : absolute;
    if (!clean.has_filename())
        clean = clean.parent_path();
    if (status.type() == fs::file_type::directory)
        return scanModelFolder(clean, {}, catalog);
    if (auto torch = refuseTorchArchive(clean); !torch)
        return torch.error();
    const auto& part = catalog.part(groupOfFile(clean));
    if (!part)
        return part.error();
    if (part->tensors.part != ModelPart::Transformer)
        return makeError(
            ErrorCode::Unsupported,
            "This file holds " + withArticle(part->tensors.part) +
                ", not a whole model; name the transformer's file or the folder: " + path.string());
    const FoundPart transformer = *part;
    return scanLoose(clean, transformer, looseName(clean), catalog);
}

std::vector<ScanResult> scanFolder(const fs::path& folder) {
    std::vector<ScanResult> out;
    PartCatalog catalog;
    std::set<fs::path> visited;
    std::error_code failed;
    const fs::path start = fs::absolute(folder, failed).lexically_normal();
    std::vector<std::pair<fs::path, int>> open = {{failed ? folder : start, 0}};
    while (!open.empty() && visited.size() < kMaxScanFolders) {
        const auto [here, depth] = open.back();
        open.pop_back();
        const fs::path real = fs::canonical(here, failed);
        if (failed || !visited.insert(real).second)
            continue;
        if (isQaModelFolder(here))
            continue; // scanQaFolder() lists those
        if (isFile(here / "model_index.json") || isCacheFolder(here)) {
            out.push_back(asResult(here, scanModelFolder(here, {}, catalog)));
            continue;
        }
        auto found = scanLooseFolder(here, {}, catalog);
        std::move(found.begin(), found.end(), std::back_inserter(out));
        if (depth < kMaxScanDepth)
            for (const auto& child : sortedEntries(here, true))
                if (!child.filename().string().starts_with('.'))
                    open.emplace_back(child, depth + 1);
    }
    std::sort(out.begin(), out.end(),
              [](const ScanResult& a, const ScanResult& b) { return a.path < b.path; });
    return out;
}

} // namespace canopy
