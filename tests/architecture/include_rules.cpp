#include "tests/architecture/include_rules.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <regex>
#include <span>

namespace canopy::test {

namespace {

bool isQt(const Include& include) {
    return !include.quoted && include.target.size() > 1 && include.target[0] == 'Q' &&
           (std::isupper(static_cast<unsigned char>(include.target[1])) || include.target.starts_with("Qt"));
}

bool startsWithAny(std::string_view text, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [text](auto prefix) { return text.starts_with(prefix); });
}

bool isTorch(const Include& include) {
    return startsWithAny(include.target, {"ATen/", "c10/", "torch/"});
}

bool isCuda(const Include& include) {
    return startsWithAny(include.target,
                         {"ATen/cuda/", "c10/cuda/", "torch/cuda", "cuda", "cublas", "cudnn", "nccl"});
}

bool isFfmpeg(const Include& include) {
    return startsWithAny(include.target, {"libav", "libsw", "libpostproc"});
}

/// "cstdint", "vector": a header of the standard library has neither a folder nor an ending.
bool isStandard(const Include& include) {
    return !include.quoted && include.target.find_first_of("./") == std::string::npos && !isQt(include);
}

/// The folders of a layer in the order in which they stand on one another: a folder may include its own rank
/// and lower ones.
struct FolderRank {
    std::string_view folder;
    int rank;
};

constexpr FolderRank kEngineRanks[] = {{"runtime", 0},  {"weights", 1},   {"kernels", 1}, {"reference", 1},
                                       {"ops", 2},      {"nn", 3},        {"models", 4},  {"samplers", 4},
                                       {"policies", 4}, {"pipelines", 5}, {"engine", 6}};

constexpr FolderRank kWindowRanks[] = {{"theme", 0},     {"link", 1},   {"models", 1},  {"viewer", 2},
                                       {"overlay", 2},   {"tokens", 3}, {"compare", 3}, {"cache", 3},
                                       {"attention", 3}, {"panels", 4}, {"shell", 5}};

std::optional<int> rankOf(std::span<const FolderRank> ranks, std::string_view path) {
    const auto begin = path.find('/') + 1;
    const auto folder = path.substr(begin, path.find('/', begin) - begin);
    for (const auto& [name, rank] : ranks) {
        if (name == folder)
            return rank;
    }
    return std::nullopt;
}

bool climbs(std::span<const FolderRank> ranks, std::string_view from, std::string_view to) {
    const auto lower = rankOf(ranks, from), upper = rankOf(ranks, to);
    return lower && upper && *upper > *lower;
}

std::optional<std::string_view> breachOf(std::string_view path, const Include& include, bool isPublicHeader) {
    const std::string_view target = include.target;

    if (isFfmpeg(include) && !path.starts_with("core/media/"))
        return "FFmpeg stays behind core/media";
    if (target.starts_with("spdlog/") && !path.starts_with("core/base/"))
        return "spdlog stays behind core/base/log.h";
    if (isCuda(include) && !startsWithAny(path, {"accel/cuda/", "accel/kernels/cuda/"}))
        return "CUDA is named in accel/cuda and accel/kernels/cuda only; use accel/runtime/device.h";

    if (path.starts_with("core/")) {
        if (isQt(include) || isTorch(include))
            return "core knows neither Qt nor LibTorch";
        if (include.quoted && !target.starts_with("core/"))
            return "core includes core only";
        if (isPublicHeader && !include.quoted && !isStandard(include))
            return "public headers of core include the standard library only; hide other libraries in the "
                   ".cpp";
    } else if (path.starts_with("ui/")) {
        if (isTorch(include) || startsWithAny(target, {"accel/", "app/"}))
            return "ui never sees the engine, LibTorch or app";
        if (target.find("imgui") != std::string_view::npos && !path.starts_with("ui/overlay/"))
            return "Dear ImGui is included in ui/overlay only";
        if (target.starts_with("ui/") && climbs(kWindowRanks, path, target))
            return "inside ui: theme <- link, models <- viewer, overlay <- tokens, compare, cache, attention "
                   "<- panels "
                   "<- "
                   "shell";
    } else if (path.starts_with("accel/")) {
        if (isQt(include) || startsWithAny(target, {"ui/", "app/"}))
            return "accel never sees Qt, ui or app";
        if (target.starts_with("core/") &&
            !startsWithAny(target, {"core/base/", "core/formats/", "core/job/"}))
            return "accel uses core/base, core/formats and core/job only";
        if (target.starts_with("accel/") && climbs(kEngineRanks, path, target))
            return "inside accel: runtime <- weights, kernels, reference <- ops <- nn <- models, samplers, "
                   "policies <- "
                   "pipelines <- engine";
    } else if (path.starts_with("app/worker/")) {
        if (isQt(include) || isTorch(include) || startsWithAny(target, {"ui/", "core/media/"}))
            return "the worker has neither Qt nor FFmpeg, and meets LibTorch behind the engine only";
        if (target.starts_with("accel/") && target != "accel/engine/accel_engine.h")
            return "the worker includes accel/engine/accel_engine.h and nothing else of the engine";
    } else if (path.starts_with("app/cli/")) {
        if (isQt(include) || isTorch(include) || startsWithAny(target, {"ui/", "accel/"}))
            return "the command line has neither Qt nor LibTorch";
    } else if (path.starts_with("app/canopy/")) {
        if (isTorch(include) || target.starts_with("accel/"))
            return "the window never sees the engine or LibTorch";
    }
    return std::nullopt;
}

} // namespace

std::vector<Include> includesOf(std::string_view text) {
    static const std::regex pattern(R"re(^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">])re",
                                    std::regex::multiline);
    std::vector<Include> found;
    const auto begin = std::cregex_iterator(text.data(), text.data() + text.size(), pattern);
    for (auto match = begin; match != std::cregex_iterator(); ++match)
        found.push_back({(*match)[2].str(), (*match)[1].str() == "\""});
    return found;
}

std::vector<std::string> includeBreaches(std::string_view path, std::string_view text, bool isPublicHeader) {
    std::vector<std::string> breaches;
    for (const auto& include : includesOf(text)) {
        if (const auto reason = breachOf(path, include, isPublicHeader))
            breaches.push_back(std::string(path) + " includes " + include.target + ": " +
                               std::string(*reason));
    }
    return breaches;
}

} // namespace canopy::test
