// The parts of core against stored outputs of the public implementations; what needs LibTorch is in
// tests/accel/parity_test.cpp. Reads CANOPY_PARITY_DIR when set, otherwise the subset in tests/data/parity;
// dispatches on each case's `kind`.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "tests/core/parity/parity_case.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::test;

namespace {

const std::map<std::string, void (*)(const StoredCase&), std::less<>> kKinds = {
    {"bpe", checkByteBpe},
#if CANOPY_HAS_MEDIA
    {"resize_bicubic", checkResizeBicubic},
#endif
};

fs::path parityFolder() {
    if (const char* folder = std::getenv("CANOPY_PARITY_DIR"); folder && *folder)
        return folder;
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    return fs::path(source ? source : ".") / "tests" / "data" / "parity";
}

} // namespace

TEST_CASE("every stored reference of the kinds of core is met") {
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
            continue; // a kind of the engine
        const std::string name = path.stem().string();
        SUBCASE(name.c_str()) {
            CAPTURE(name);
            MESSAGE("parity case ", name);
            check->second({folder, name, *json});
        }
        seen.insert(check->first);
    }
    for (const auto& [kind, check] : kKinds) {
        if (!seen.contains(kind))
            MESSAGE("skipped: no case of kind ", kind,
                    " here. tests/data/parity/README.md says how to make it; then set CANOPY_PARITY_DIR.");
    }
    CHECK(!seen.empty());
}
