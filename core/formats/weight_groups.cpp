#include "core/formats/weight_groups.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/base/value_codec.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntries = 4096; ///< of one folder

std::vector<fs::path> filesOf(const fs::path& folder) {
    std::vector<fs::path> out;
    std::error_code failed;
    fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed);
    for (; !failed && it != fs::directory_iterator() && out.size() < kMaxEntries; it.increment(failed)) {
        std::error_code unknown;
        if (it->is_regular_file(unknown)) // follows symbolic links, of which Hugging Face caches are made
            out.push_back(it->path());
    }
    std::sort(out.begin(), out.end());
    return out;
}

struct ShardName {
    std::string stem; ///< before the numbers
    int index = 0;
    int count = 0;
};

/// "model-00002-of-00012.safetensors"
std::optional<ShardName> shardName(const std::string& file) {
    static constexpr std::string_view kEnding = ".safetensors";
    constexpr std::size_t kTail = 15; // "-00002-of-00012"
    if (!file.ends_with(kEnding) || file.size() <= kEnding.size() + kTail)
        return std::nullopt;
    const auto stem = std::string_view(file).substr(0, file.size() - kEnding.size());
    const auto tail = stem.substr(stem.size() - kTail);
    const auto number = [&](std::size_t at) {
        int n = 0;
        for (const char c : tail.substr(at, 5)) {
            if (c < '0' || c > '9')
                return -1;
            n = n * 10 + (c - '0');
        }
        return n;
    };
    if (tail[0] != '-' || tail.substr(6, 4) != "-of-")
        return std::nullopt;
    ShardName out{std::string(stem.substr(0, stem.size() - kTail)), number(1), number(10)};
    if (out.index < 1 || out.count < 1 || out.index > out.count)
        return std::nullopt;
    return out;
}

} // namespace

std::vector<WeightGroup> weightGroups(const fs::path& folder) {
    std::vector<WeightGroup> out;
    std::set<std::string> stemsWithIndex;
    std::map<std::string, WeightGroup> numbered;
    const auto files = filesOf(folder);
    for (const auto& file : files) {
        const std::string name = file.filename().string();
        static constexpr std::string_view kEnding = ".safetensors.index.json";
        if (!name.ends_with(kEnding))
            continue;
        out.push_back({name, file, {}});
        stemsWithIndex.insert(name.substr(0, name.size() - kEnding.size()));
    }
    for (const auto& file : files) {
        const std::string name = file.filename().string();
        if (!name.ends_with(".safetensors"))
            continue;
        if (const auto shard = shardName(name)) {
            if (stemsWithIndex.contains(shard->stem))
                continue;
            auto& group = numbered[shard->stem + std::to_string(shard->count)];
            if (group.files.empty())
                group.name = name;
            group.files.push_back(file);
        } else {
            out.push_back({name, {}, {file}});
        }
    }
    for (auto& [stem, group] : numbered)
        out.push_back(std::move(group));
    std::sort(out.begin(), out.end(),
              [](const WeightGroup& a, const WeightGroup& b) { return a.name < b.name; });
    return out;
}

WeightGroup groupOfFile(const fs::path& file) {
    const std::string name = file.filename().string();
    if (name.ends_with(".index.json"))
        return {name, file, {}};
    return {name, {}, {file}};
}

Result<Checkpoint> openGroup(const WeightGroup& group) {
    if (!group.index.empty())
        return Checkpoint::openIndex(group.index);
    if (group.files.empty())
        return makeError(ErrorCode::InvalidArgument, "No weight file was given");
    if (const auto shard = shardName(group.name); shard && group.files.size() != 1) {
        if (group.files.size() != static_cast<std::size_t>(shard->count))
            return makeError(ErrorCode::NotFound,
                             "Only " + std::to_string(group.files.size()) + " of " +
                                 std::to_string(shard->count) +
                                 " shards are there; download the rest: " + group.files.front().string());
    } else if (shard && shard->count != 1) {
        return makeError(ErrorCode::NotFound,
                         "Only one of " + std::to_string(shard->count) +
                             " shards is there; download the rest: " + group.files.front().string());
    }
    return Checkpoint::open(group.files);
}

std::vector<fs::path> torchArchives(const fs::path& folder) {
    std::vector<fs::path> out;
    for (const auto& file : filesOf(folder))
        if (!refuseTorchArchive(file))
            out.push_back(file);
    return out;
}

} // namespace canopy
