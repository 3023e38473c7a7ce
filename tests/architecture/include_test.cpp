#include "tests/architecture/include_rules.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

using canopy::test::includeBreaches;

namespace {

std::string readAll(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

bool isSource(const std::filesystem::path& path) {
    const auto ending = path.extension();
    return ending == ".h" || ending == ".cpp" || ending == ".cu" || ending == ".cuh";
}

} // namespace

TEST_CASE("every layer includes only what ARCHITECTURE.md allows it") {
    const char* root = std::getenv("CANOPY_SOURCE_DIR");
    REQUIRE_MESSAGE(root, "CANOPY_SOURCE_DIR is not set; run this through ctest");
    // One public header a line, written when the build was configured.
    const char* list = std::getenv("CANOPY_PUBLIC_HEADERS");
    REQUIRE_MESSAGE(list, "CANOPY_PUBLIC_HEADERS is not set; run this through ctest");
    std::set<std::string> publicHeaders;
    std::ifstream lines(list);
    for (std::string line; std::getline(lines, line);)
        publicHeaders.insert(line);
    CHECK(publicHeaders.size() > 20);

    int files = 0;
    for (const char* layer : {"core", "accel", "ui", "app"}) {
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(std::filesystem::path(root) / layer)) {
            if (!entry.is_regular_file() || !isSource(entry.path()))
                continue;
            ++files;
            const auto path = std::filesystem::relative(entry.path(), root).generic_string();
            for (const auto& breach :
                 includeBreaches(path, readAll(entry.path()), publicHeaders.contains(path)))
                FAIL_CHECK(breach);
        }
    }
    CHECK(files > 50); // a wrong folder would find nothing and pass
}

TEST_CASE("a planted breach of each rule is found") {
    struct Planted {
        const char* path;
        const char* line;
    };
    const Planted planted[] = {
        {"core/base/log.h", "#include <QString>"},
        {"core/base/log.cpp", "#include <ATen/core/Tensor.h>"},
        {"core/formats/safetensors.h", "#include <nlohmann/json.hpp>"},
        {"core/project/job_store.h", "#include <sqlite3.h>"},
        {"core/job/memory_plan.cpp", "#include \"accel/nn/rope.h\""},
        {"core/client/worker_client.cpp", "#include <libavformat/avformat.h>"},
        {"core/project/job_store.cpp", "#include <spdlog/spdlog.h>"},
        {"ui/panels/create_panel.cpp", "#include \"accel/engine/accel_engine.h\""},
        {"ui/link/link.h", "#include <torch/torch.h>"},
        {"ui/viewer/viewer.cpp", "  #  include <imgui.h>"},
        {"ui/link/link.cpp", "#include \"ui/shell/main_window.h\""},
        {"accel/engine/accel_engine.cpp", "#include <QObject>"},
        {"accel/pipelines/denoise.cpp", "#include \"core/protocol/messages.h\""},
        {"accel/ops/attention.cpp", "#include \"accel/nn/attention.h\""},
        {"accel/models/wan/wan_dit.cpp", "#include \"accel/pipelines/denoise.h\""},
        {"accel/engine/accel_engine.cpp", "#include <c10/cuda/CUDAStream.h>"},
        {"accel/runtime/device.h", "#include <cuda_runtime.h>"},
        {"app/worker/main.cpp", "#include \"accel/pipelines/denoise.h\""},
        {"app/worker/main.cpp", "#include \"core/media/video_writer.h\""},
        {"app/cli/main.cpp", "#include <QCoreApplication>"},
        {"app/canopy/main.cpp", "#include <ATen/core/Tensor.h>"},
    };
    for (const auto& [path, line] : planted) {
        INFO(path, ": ", line);
        CHECK(includeBreaches(path, std::string("#pragma once\n") + line + "\n",
                              std::string_view(path).ends_with(".h"))
                  .size() == 1);
    }
}

TEST_CASE("what is allowed is not reported") {
    CHECK(includeBreaches("core/base/log.h", "#include <string>\n#include \"core/base/result.h\"\n", true)
              .empty());
    CHECK(includeBreaches("core/project/database.h", "#include <sqlite3.h>\n", false).empty());
    CHECK(includeBreaches("core/formats/safetensors.cpp", "#include <nlohmann/json.hpp>\n", false).empty());
    CHECK(includeBreaches("accel/cuda/cuda_device.cpp", "#include <c10/cuda/CUDAStream.h>\n", false).empty());
    CHECK(includeBreaches("accel/nn/rope.h", "#include \"accel/ops/norm_rope.h\"\n", true).empty());
    CHECK(
        includeBreaches("app/worker/main.cpp", "#include \"accel/engine/accel_engine.h\"\n", false).empty());
    CHECK(includeBreaches("ui/overlay/profiler.cpp", "#include <imgui.h>\n#include <QWidget>\n", false)
              .empty());
}
