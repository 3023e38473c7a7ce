// Recognition of video question-answering models: the searching half of qa_model.h.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "core/base/file_error.h"
#include "core/base/files.h"
#include "core/formats/model_config_json.h"
#include "core/formats/model_folders.h"
#include "core/formats/part_tensors.h"
#include "core/formats/qa_config_json.h"
#include "core/formats/qa_known.h"
#include "core/formats/qa_model.h"
#include "core/formats/qa_tensors.h"
#include "core/formats/scan_folders.h"
#include "core/formats/weight_groups.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

/// The weights of a folder: the group with an index or of the usual name where there are several.
Result<Checkpoint> openWeights(const fs::path& folder) {
    const auto groups = weightGroups(folder);
    const auto usual = std::find_if(groups.begin(), groups.end(), [](const WeightGroup& g) {
        return !g.index.empty() || g.name.starts_with("model.safetensors") || g.name.starts_with("model-0");
    });
    if (groups.empty()) {
        const auto archives = torchArchives(folder);
        if (!archives.empty())
            return refuseTorchArchive(archives.front()).error();
        return makeError(ErrorCode::NotFound,
                         "The weights are missing: there is no safetensors file in " + folder.string());
    }
    auto files = openGroup(usual == groups.end() ? groups.front() : *usual);
    if (!files && files.error().code == ErrorCode::NotFound)
        return makeError(ErrorCode::NotFound, "The model is incomplete: a file that its index lists is not "
                                              "there; download the rest. " +
                                                  files.error().message);
    return files;
}

Error differs(std::string_view field, int config, int weights) {
    return makeError(ErrorCode::Mismatch, "config.json and the weights differ: " + std::string(field) +
                                              " is " + std::to_string(config) + " and " +
                                              std::to_string(weights) + "; download both again");
}

/// Takes each size from the tensors; one that the config gives as well must be the same.
class SizeMerge {
public:
    SizeMerge& take(std::string_view field, int& config, int weights) {
        if (!m_error && config != 0 && config != weights)
            m_error = differs(field, config, weights);
        config = weights;
        return *this;
    }
    const std::optional<Error>& error() const { return m_error; }

private:
    std::optional<Error> m_error;
};

Result<SiglipConfig> towerOf(const QaConfig& config, const QaShapes& s) {
    SiglipConfig v = config.vision;
    if (!config.towerName.empty()) {
        auto known = knownTower(config.towerName, s);
        if (!known)
            return known.error();
        v = *known;
    }
    SizeMerge merge;
    merge.take("vision_config.hidden_size", v.width, s.visionWidth)
        .take("vision_config.patch_size", v.patch, s.patch)
        .take("vision_config.intermediate_size", v.mlpDim, s.visionMlp);
    if (merge.error())
        return *merge.error();
    if (s.visionLayers < v.layers)
        return differs("the number of vision blocks", v.layers, s.visionLayers);
    const int side = v.gridSide();
    if (side < 1 || side > 128 || side * side != s.positions)
        return differs("the number of vision positions", side * side, s.positions);
    return v;
}

Result<Qwen2Config> languageOf(const QaConfig& config, const QaShapes& s) {
    Qwen2Config q = config.language;
    if (q.headDim == 0 && q.heads > 0 && s.queryRows > 0)
        q.headDim = s.queryRows / q.heads;
    SizeMerge merge;
    merge.take("vocab_size", q.vocabulary, s.vocabulary)
        .take("hidden_size", q.width, s.width)
        .take("num_hidden_layers", q.layers, s.layers)
        .take("intermediate_size", q.mlpDim, s.mlpDim);
    if (merge.error())
        return *merge.error();
    if (std::int64_t{q.heads} * q.headDim != s.queryRows)
        return differs("num_attention_heads", q.heads, q.headDim > 0 ? s.queryRows / q.headDim : 0);
    if (std::int64_t{q.kvHeads} * q.headDim != s.keyRows)
        return differs("num_key_value_heads", q.kvHeads, q.headDim > 0 ? s.keyRows / q.headDim : 0);
    q.tiedEmbeddings = q.tiedEmbeddings || !s.hasHead;
    return q;
}

/// Adds the ids of <|im_end|> and <|endoftext|> from the small tokenizer files, then those of
/// generation_config.json; a vocabulary that none of them describes is Qwen2's own.
Result<void> readStopTokens(const fs::path& folder, QaModelRecord& r, std::vector<std::int32_t> fromConfig) {
    const auto add = [&](std::int64_t id) {
        if (id >= 0 && id < r.language.vocabulary &&
            std::find(r.stopIds.begin(), r.stopIds.end(), id) == r.stopIds.end())
            r.stopIds.push_back(static_cast<std::int32_t>(id));
    };
    const auto isStop = [](std::string_view text) { return text == "<|im_end|>" || text == "<|endoftext|>"; };
    if (isFile(folder / "added_tokens.json")) {
        const auto json = readConfigFile(folder / "added_tokens.json");
        if (!json)
            return json.error();
        for (const char* name : {"<|im_end|>", "<|endoftext|>"})
            add((*json)[name].asInt(-1));
    }
    if (isFile(folder / "tokenizer_config.json")) {
        const auto json = readConfigFile(folder / "tokenizer_config.json");
        if (!json)
            return json.error();
        for (const auto& [key, token] : (*json)["added_tokens_decoder"].asMap()) {
            std::int64_t id = -1;
            std::from_chars(key.data(), key.data() + key.size(), id);
            if (isStop(token["content"].asString()))
                add(id);
        }
    }
    if (isFile(folder / "generation_config.json")) {
        const auto json = readConfigFile(folder / "generation_config.json");
        if (!json)
            return json.error();
        const auto& eos = (*json)["eos_token_id"];
        add(eos.asInt(-1));
        for (const auto& id : eos.asArray())
            add(id.asInt(-1));
    }
    for (const std::int32_t id : fromConfig)
        add(id);
    if (r.stopIds.empty())
        r.stopIds = knownStopIds(r.language.vocabulary);
    return {};
}

Result<void> readPreprocessor(const fs::path& folder, QaModelRecord& r) {
    // The file for videos is newer than the one for pictures and wins.
    for (const char* name : {"video_preprocessor_config.json", "preprocessor_config.json"}) {
        if (!isFile(folder / name))
            continue;
        const auto json = readConfigFile(folder / name);
        if (!json)
            return json.error();
        auto ok = readQaPreprocessor(*json, r.vision.imageSize, r.imageMean, r.imageStd);
        return ok ? ok : inFile(folder / name, ok.error());
    }
    return {};
}

void findTokenizer(const fs::path& folder, QaModelRecord& r) {
    if (isFile(folder / "tokenizer.json")) {
        r.tokenizerFile = folder / "tokenizer.json";
    } else if (isFile(folder / "vocab.json") && isFile(folder / "merges.txt")) {
        r.tokenizerFile = folder / "vocab.json";
        r.mergesFile = folder / "merges.txt";
    } else {
        r.missing.push_back(
            "The tokenizer is missing: put tokenizer.json, or vocab.json and merges.txt, into " +
            folder.string());
    }
}

/// Everything of one folder. `name` is the label of a release that is not known.
Result<QaModelRecord> scanReleaseFolder(const fs::path& folder, const std::string& name) {
    const auto json = readConfigFile(folder / "config.json");
    if (!json)
        return json.error();
    const auto config = parseQaConfig(*json);
    if (!config)
        return inFile(folder / "config.json", config.error());
    const auto files = openWeights(folder);
    if (!files)
        return files.error();
    const auto names = qaTensorNames(*files);
    if (!names)
        return inFile(folder, names.error());
    const auto shapes = qaShapes(*files, *names);
    if (!shapes)
        return inFile(folder, shapes.error());
    const auto vision = towerOf(*config, *shapes);
    if (!vision)
        return inFile(folder, vision.error());
    const auto language = languageOf(*config, *shapes);
    if (!language)
        return inFile(folder, language.error());
    const auto hash = shortHash(*files);
    if (!hash)
        return hash.error();

    QaModelRecord r;
    r.id = std::string(qaFamilyName(config->family)) + "-" + *hash;
    r.family = config->family;
    r.root = folder;
    r.weightFiles = files->files();
    r.vision = *vision;
    r.language = *language;
    r.pooling = config->pooling;
    r.newlines = config->newlines;
    r.weightBytes = files->totalBytes();
    r.visionParameters = shapes->visionParameters;
    r.languageParameters = shapes->languageParameters;
    r.licenceFile = licenceIn(folder);
    r.defaults = knownQaDefaults(*config, r.language.width, name);
    if (r.newlines != HostNewlines::None && !shapes->hasNewline)
        r.missing.push_back("The weights have no image_newline vector; download the model again: " +
                            folder.string());
    findTokenizer(folder, r);
    if (auto ok = readStopTokens(folder, r, config->stopIds); !ok)
        return ok.error();
    if (auto ok = readPreprocessor(folder, r); !ok)
        return ok.error();
    if (isFile(folder / "canopy.json")) {
        const auto own = readConfigFile(folder / "canopy.json");
        if (!own)
            return own.error();
        if (auto ok = readQaDefaults(*own, r.defaults); !ok)
            return inFile(folder / "canopy.json", ok.error());
    }
    r.defaults.starter = isInside(folder, builtinModelFolder());
    if (auto ok = checkQaModel(r); !ok)
        return inFile(folder, ok.error());
    return r;
}

QaScanResult asResult(const fs::path& path, Result<QaModelRecord> record) {
    if (record)
        return {path, std::move(*record), std::nullopt};
    QaModelRecord broken;
    broken.root = path;
    broken.defaults.label = path.filename().string();
    broken.missing.push_back(record.error().message);
    return {path, std::move(broken), record.error()};
}

} // namespace

bool isQaModelFolder(const fs::path& folder) {
    fs::path place = folder;
    if (isCacheFolder(folder)) {
        const auto snapshot = snapshotOf(folder);
        if (!snapshot)
            return false;
        place = *snapshot;
    }
    if (!isFile(place / "config.json"))
        return false;
    const auto json = readConfigFile(place / "config.json");
    return json && isQaConfig(*json);
}

Result<QaModelRecord> scanQaModel(const fs::path& path) {
    std::error_code failed;
    const auto status = fs::status(path, failed);
    if (failed || status.type() == fs::file_type::not_found)
        return makeError(ErrorCode::NotFound, "There is no such file or folder: " + path.string());
    fs::path clean = fs::absolute(path, failed).lexically_normal();
    if (failed)
        clean = path;
    if (!clean.has_filename())
        clean = clean.parent_path();
    if (status.type() != fs::file_type::directory) {
        if (auto torch = refuseTorchArchive(clean); !torch)
            return torch.error();
        clean = clean.parent_path(); // a model's weights or config.json stand for their folder
    }
    std::string name = clean.filename().string();
    if (isCacheFolder(clean)) {
        name = cacheName(clean);
        const auto snapshot = snapshotOf(clean);
        if (!snapshot)
            return snapshot.error();
        clean = *snapshot;
    }
    if (!isFile(clean / "config.json"))
        return makeError(ErrorCode::NotFound, "There is no video question-answering model in this folder; "
                                              "expected config.json and weights as safetensors: " +
                                                  clean.string());
    return scanReleaseFolder(clean, name);
}

std::vector<QaScanResult> scanQaFolder(const fs::path& folder) {
    std::vector<QaScanResult> out;
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
        if (isQaModelFolder(here)) {
            out.push_back(asResult(here, scanQaModel(here)));
            continue;
        }
        if (depth < kMaxScanDepth && !isCacheFolder(here))
            for (const auto& child : sortedEntries(here, true))
                if (!child.filename().string().starts_with('.'))
                    open.emplace_back(child, depth + 1);
    }
    std::sort(out.begin(), out.end(),
              [](const QaScanResult& a, const QaScanResult& b) { return a.path < b.path; });
    return out;
}

std::vector<QaScanResult> scanQaModels(const ModelFolders& folders) {
    auto out = scanQaFolder(builtinModelFolder());
    const auto list = folders.list();
    if (!list)
        return out; // the generator's scan of the same list says what is wrong with it
    for (const auto& folder : *list) {
        std::error_code failed;
        if (!fs::is_directory(folder, failed))
            continue; // single files are generators
        auto found = scanQaFolder(folder);
        std::move(found.begin(), found.end(), std::back_inserter(out));
    }
    // One model that lies below two remembered folders is listed once.
    for (auto it = out.begin(); it != out.end();) {
        const auto same = [&](const QaScanResult& r) { return r.path == it->path; };
        it = std::find_if(out.begin(), it, same) != it ? out.erase(it) : it + 1;
    }
    return out;
}

Result<QaModelRecord> findQaModel(std::string_view idOrPath, const ModelFolders& folders) {
    const fs::path path(idOrPath);
    std::error_code failed;
    if (!idOrPath.empty() && (idOrPath.find('/') != std::string_view::npos || fs::exists(path, failed)))
        return scanQaModel(path);
    std::string known;
    for (auto& result : scanQaModels(folders)) {
        if (result.error)
            continue;
        if (idOrPath.empty() ? result.record.missing.empty()
                             : result.record.id == idOrPath || result.record.root.filename() == path)
            return std::move(result.record);
        known += (known.empty() ? "" : ", ") + result.record.id;
    }
    if (idOrPath.empty())
        return makeError(ErrorCode::NotFound, "No complete video question-answering model was found; add a "
                                              "folder with LLaVA-OneVision or LLaVA-Video");
    return makeError(ErrorCode::NotFound,
                     "No video question-answering model has the id " + quotedName(idOrPath) +
                         "; known are: " + (known.empty() ? std::string("none") : known));
}

} // namespace canopy
