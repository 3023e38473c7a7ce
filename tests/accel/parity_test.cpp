// Our engine against stored outputs of the public implementations. Reads CANOPY_PARITY_DIR when set,
// otherwise the subset in tests/data/parity; dispatches on each case's `kind`; shapes, settings and
// tolerances come from the files.

#include <ATen/Context.h>
#include <c10/core/InferenceMode.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "tests/support/parity_case.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::test;

namespace {

const std::map<std::string, void (*)(const ParityCase&), std::less<>> kKinds = {
    {"wan_dit", checkWanDit},
    {"skyreels_dit", checkSkyReelsDit},
    {"wan_vae", checkWanVae},
    {"umt5", checkUmt5},
    {"siglip", checkSiglip},
    {"qwen2", checkQwen2},
    {"llava_onevision", checkLlavaOneVision},
    {"unigram", checkUnigram},
    {"prompt_clean", checkPromptClean},
    {"unipc", checkUniPc},
    {"unipc_original", checkUniPcOriginal},
    {"euler", checkEuler},
    {"skyreels_timestep_matrix", checkTimestepMatrix},
    {"skyreels_df_trajectory", checkDfTrajectory},
    {"pipeline_wan_t2v", checkPipelineWan},
    {"pipeline_skyreels_df", checkPipelineSkyReels},
    {"forest_code", checkForestCode},
    {"framefusion", checkFrameFusion},
    {"fastvid", checkFastVid},
    {"holitom", checkHoliTom},
    {"visionzip", checkVisionZip},
    {"xattention", checkXAttention},
    {"svg2", checkSvg2},
    {"magi_schedule", checkMagiSchedule},
    {"flowcache_decisions", checkFlowCacheDecisions},
    {"kv_compression", checkKvCompression},
    {"teacache_skyreels", checkTeaCacheSkyReels},
    {"flowcache_skyreels", checkFlowCacheSkyReels},
    {"magi_kv_timeline", checkMagiKvTimeline},
};

fs::path parityFolder() {
    if (const char* folder = std::getenv("CANOPY_PARITY_DIR"); folder && *folder)
        return folder;
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    return fs::path(source ? source : ".") / "tests" / "data" / "parity";
}

} // namespace

TEST_CASE("every stored reference of the kinds we cover is met") {
    const c10::InferenceMode inference;
    const auto folder = parityFolder();
    REQUIRE_MESSAGE(fs::is_directory(folder), "no parity data in ", folder.string());
    std::set<std::string> seen;
    std::set<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
        files.insert(entry.path());
    for (const auto& path : files) {
        const std::string file = path.filename().string();
        if (!file.ends_with(".json") || file.ends_with(".config.json"))
            continue;
        const auto text = readTextFile(path, 64u << 20);
        REQUIRE_MESSAGE(text.ok(), text.error().message);
        const auto json = parseJson(*text, CodecLimits{64u << 20, 64, 8u << 20, 8u << 20});
        REQUIRE_MESSAGE(json.ok(), json.error().message);
        const auto check = kKinds.find((*json)["kind"].asString());
        if (check == kKinds.end())
            continue; // a kind of another method
        const std::string name = path.stem().string();
        SUBCASE(name.c_str()) {
            CAPTURE(name);
            MESSAGE("parity case ", name);
            const ParityCase reference(folder, name, *json);
            check->second(reference);
        }
        seen.insert((*json)["kind"].asString());
    }
    for (const auto& [kind, check] : kKinds) {
        if (!seen.contains(kind)) {
            MESSAGE("skipped: no case of kind ", kind,
                    " here. tests/data/parity/README.md says how to make it; then set CANOPY_PARITY_DIR.");
        }
    }
    CHECK(!seen.empty());
}
