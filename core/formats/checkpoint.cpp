// SafetensorsFile and Checkpoint: the parts of safetensors.h that touch files.
#include <algorithm>
#include <array>
#include <cassert>
#include <set>

#include "core/base/file_error.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

/// A shard is a plain file name beside its index; anything that could leave the folder is refused.
bool isPlainShardName(std::string_view name) {
    return !name.empty() && name.size() <= 255 && name.find('/') == std::string_view::npos &&
           name.find('\\') == std::string_view::npos && name.find('\0') == std::string_view::npos &&
           name.front() != '.' && name.ends_with(".safetensors");
}

struct ShardIndex {
    std::vector<std::string> shards; ///< in order of name
    std::map<std::string, std::string, std::less<>> shardOf;
    std::optional<std::uint64_t> totalSize;
};

Result<ShardIndex> parseIndex(std::string_view text, const SafetensorsLimits& limits) {
    CodecLimits json;
    json.maxBytes = limits.maxHeaderBytes;
    json.maxDepth = 4;
    json.maxValues = limits.maxTensors + 4096;
    json.maxStringBytes = 4096;
    const auto root = parseJson(text, json);
    if (!root)
        return makeError(root.error().code, "The shard index cannot be read. " + root.error().message);
    const auto& map = (*root)["weight_map"];
    if (!map.isMap() || map.asMap().empty())
        return makeError(ErrorCode::Malformed, "The shard index has no weight_map; download it again");
    ShardIndex index;
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : map.asMap()) {
        if (tensor.size() > limits.maxNameBytes || !shard.isString())
            return makeError(ErrorCode::Malformed,
                             "The shard index has a malformed entry for " + quotedName(tensor));
        if (!isPlainShardName(shard.asString()))
            return makeError(ErrorCode::Malformed,
                             "Unsafe path in index: " + quotedName(shard.asString()) +
                                 "; expected the plain name of a .safetensors file beside it");
        shards.insert(shard.asString());
        index.shardOf.emplace(tensor, shard.asString());
    }
    index.shards.assign(shards.begin(), shards.end());
    const auto& total = (*root)["metadata"]["total_size"];
    if (total.isInt() && total.asInt() >= 0)
        index.totalSize = static_cast<std::uint64_t>(total.asInt());
    else if (!total.isNull())
        return makeError(ErrorCode::Malformed,
                         "The shard index gives a total_size that is no unsigned integer");
    return index;
}

} // namespace

Result<void> refuseTorchArchive(const fs::path& path) {
    static constexpr std::array kEndings = {".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle"};
    std::string ending = path.extension().string();
    for (char& c : ending)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    if (std::find(kEndings.begin(), kEndings.end(), ending) == kEndings.end())
        return {};
    return makeError(
        ErrorCode::Unsupported,
        "This is a Torch archive (" + ending +
            "). Such files can run programs while they are opened, so they are never read; expected a "
            "safetensors file. Convert it to safetensors: " +
            path.string());
}

SafetensorsFile::SafetensorsFile(ReadOnlyFile file, SafetensorsHeader header)
    : m_file(std::move(file))
    , m_header(std::move(header)) {}

Result<SafetensorsFile> SafetensorsFile::open(const fs::path& path, const SafetensorsLimits& limits) {
    if (auto torch = refuseTorchArchive(path); !torch)
        return torch.error();
    auto file = ReadOnlyFile::open(path);
    if (!file)
        return file.error();
    std::vector<std::uint8_t> start(std::min<std::uint64_t>(file->size(), 16));
    if (auto read = file->read(0, start); !read)
        return read.error();
    const auto length = safetensorsHeaderLength(start, file->size(), limits);
    if (!length)
        return inFile(path, length.error());
    start.resize(*length + 8);
    if (auto read = file->read(0, start); !read)
        return read.error();
    auto header = parseSafetensorsHeader(start, file->size(), limits);
    if (!header)
        return inFile(path, header.error());
    return SafetensorsFile(std::move(*file), std::move(*header));
}

Result<void> SafetensorsFile::read(const TensorInfo& info, std::span<std::uint8_t> out) const {
    if (out.size() != info.bytes())
        return makeError(ErrorCode::Internal, "Tensor " + quotedName(info.name) + " has " +
                                                  std::to_string(info.bytes()) + " bytes; the buffer has " +
                                                  std::to_string(out.size()));
    return read(info, 0, out);
}

Result<void> SafetensorsFile::read(const TensorInfo& info, std::uint64_t offset,
                                   std::span<std::uint8_t> out) const {
    if (offset > info.bytes() || out.size() > info.bytes() - offset)
        return makeError(ErrorCode::Internal, "A read beyond the end of tensor " + quotedName(info.name));
    if (out.empty())
        return {};
    return m_file.read(m_header.dataStart + info.begin + offset, out);
}

Result<Checkpoint> Checkpoint::open(const std::vector<fs::path>& files, const SafetensorsLimits& limits) {
    if (files.empty())
        return makeError(ErrorCode::InvalidArgument, "No weight file was given");
    Checkpoint out;
    for (const auto& path : files) {
        auto file = SafetensorsFile::open(path, limits);
        if (!file)
            return file.error();
        const auto& tensors = file->header().tensors;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            const auto [place, isNew] =
                out.m_places.try_emplace(tensors[i].name, Place{out.m_files.size(), i});
            if (!isNew)
                return makeError(ErrorCode::Malformed,
                                 "Tensor " + quotedName(tensors[i].name) +
                                     " lies in two files of one model; download it again: " + path.string());
        }
        if (out.m_places.size() > limits.maxTensors)
            return makeError(ErrorCode::Malformed,
                             "More than " + std::to_string(limits.maxTensors) +
                                 " tensors in the files of one model: " + path.string());
        if (__builtin_add_overflow(out.m_totalBytes, file->header().dataBytes, &out.m_totalBytes))
            return makeError(ErrorCode::Malformed, "The sizes of the shards exceed 2^64: " + path.string());
        out.m_metadata.insert(file->header().metadata.begin(), file->header().metadata.end());
        out.m_files.push_back(std::move(*file));
    }
    return out;
}

Result<Checkpoint> Checkpoint::openIndex(const fs::path& path, const SafetensorsLimits& limits) {
    const auto text = readTextFile(path, limits.maxHeaderBytes);
    if (!text)
        return text.error();
    const auto index = parseIndex(*text, limits);
    if (!index)
        return inFile(path, index.error());
    std::vector<fs::path> files;
    for (const auto& shard : index->shards)
        files.push_back(path.parent_path() / shard);
    auto out = open(files, limits);
    if (!out)
        return out.error();
    for (const auto& [tensor, shard] : index->shardOf) {
        const auto place = out->m_places.find(tensor);
        if (place == out->m_places.end() || index->shards[place->second.file] != shard)
            return makeError(ErrorCode::Mismatch,
                             "The shard index places tensor " + quotedName(tensor) + " in " + shard +
                                 ", which does not hold it; download both again: " + path.string());
    }
    if (out->m_places.size() != index->shardOf.size())
        return makeError(ErrorCode::Mismatch, "The shards hold " + std::to_string(out->m_places.size()) +
                                                  " tensors and their index lists " +
                                                  std::to_string(index->shardOf.size()) +
                                                  "; download both again: " + path.string());
    if (index->totalSize && *index->totalSize != out->m_totalBytes)
        return makeError(ErrorCode::Mismatch, "The shards hold " + std::to_string(out->m_totalBytes) +
                                                  " bytes and their index says " +
                                                  std::to_string(*index->totalSize) +
                                                  "; download both again: " + path.string());
    return out;
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
    const auto place = m_places.find(name);
    return place == m_places.end() ? nullptr
                                   : &m_files[place->second.file].header().tensors[place->second.tensor];
}

std::vector<std::string> Checkpoint::names() const {
    std::vector<std::string> out;
    out.reserve(m_places.size());
    for (const auto& [name, place] : m_places)
        out.push_back(name);
    return out;
}

Result<void> Checkpoint::read(std::string_view name, std::span<std::uint8_t> out) const {
    const auto place = m_places.find(name);
    if (place == m_places.end())
        return makeError(ErrorCode::NotFound, "The model has no tensor " + quotedName(name));
    const auto& file = m_files[place->second.file];
    return file.read(file.header().tensors[place->second.tensor], out);
}

Result<void> Checkpoint::read(std::string_view name, std::uint64_t offset,
                              std::span<std::uint8_t> out) const {
    const auto place = m_places.find(name);
    if (place == m_places.end())
        return makeError(ErrorCode::NotFound, "The model has no tensor " + quotedName(name));
    const auto& file = m_files[place->second.file];
    return file.read(file.header().tensors[place->second.tensor], offset, out);
}

std::vector<fs::path> Checkpoint::files() const {
    std::vector<fs::path> out;
    for (const auto& file : m_files)
        out.push_back(file.path());
    return out;
}

} // namespace canopy
