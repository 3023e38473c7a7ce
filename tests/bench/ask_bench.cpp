// Times questions about one video through the engine itself and prints a line of JSON each: the answer with
// its times, bytes and counts, and the plan. Frames are random, or those of a frames file ("frames" uint8
// [T, S, S, 3]); before every run one pixel is altered, so that the tower runs again (--warm: not).
//
//   ask_bench --model DIR [--frames-file F | --frames N] [--question T] [--mode M] [--keep R] [--device cuda]
//             [--precision fp32] [--threads N] [--max-new N] [--runs N] [--warm] [--serve]
//
// --serve: a line "MODE KEEP" on standard input asks for one run, until the input ends.

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "accel/engine/accel_engine.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/qa_model.h"
#include "core/formats/safetensors.h"
#include "core/job/ask_plan.h"

using namespace canopy;

namespace {

class Listener final : public accel::AskObserver {
public:
    bool wants(std::string_view) const override { return false; }
    void resolved(const AskRequest& request, const MemoryPlan& memory) override {
        for (const auto& stage : memory.stages)
            planned.set(stage.name, stage.bytes(request.device));
    }
    void stage(std::string_view, int, int) override {}
    void timing(std::string_view, int, double) override {}
    void tokens(const TokenRun&) override {}
    void words(std::string_view) override {}

    Value planned;
};

/// Frames on their way to the engine.
class Frames {
public:
    Frames(int count, int size, const std::string& from)
        : m_size(size)
        , m_file(std::filesystem::temp_directory_path() /
                 ("canopy-ask-bench-" + std::to_string(::getpid()) + ".safetensors")) {
        if (from.empty()) {
            m_count = count;
            m_rgb.resize(static_cast<std::size_t>(count) * frameBytes());
            std::mt19937 random(5);
            for (auto& byte : m_rgb)
                byte = static_cast<std::uint8_t>(random());
            return;
        }
        const auto file = SafetensorsFile::open(from);
        if (!file)
            throw std::runtime_error(file.error().message);
        for (const auto& info : file->header().tensors) {
            if (info.name == "frames" && info.bytes() % frameBytes() == 0) {
                m_rgb.resize(info.bytes());
                m_count = static_cast<int>(info.bytes() / frameBytes());
                if (const auto read = file->read(info, m_rgb); !read)
                    throw std::runtime_error(read.error().message);
                return;
            }
        }
        throw std::runtime_error("no tensor \"frames\" of " + std::to_string(size) + " pixels in " + from);
    }
    ~Frames() { std::filesystem::remove(m_file); }

    int count() const { return m_count; }
    std::string write(bool altered) {
        if (altered)
            ++m_rgb[0];
        const auto side = static_cast<std::uint64_t>(m_size);
        const auto bytes = writeSafetensors(
            {{"frames", DType::U8, {static_cast<std::uint64_t>(m_count), side, side, 3}, m_rgb}});
        if (const auto written = writeFileAtomically(m_file, bytes); !written)
            throw std::runtime_error(written.error().message);
        return m_file.string();
    }

private:
    std::size_t frameBytes() const {
        return static_cast<std::size_t>(m_size) * static_cast<std::size_t>(m_size) * 3;
    }
    int m_size;
    int m_count = 0;
    std::vector<std::uint8_t> m_rgb;
    std::filesystem::path m_file;
};

struct Options {
    std::string model, framesFile, mode = "all", device = "cpu", precision = "auto";
    int frames = 0;
    int runs = 1;
    bool warm = false;
    bool serve = false;
    AskRequest request;
};

/// One question; false after an error was printed.
bool askOnce(accel::Engine& engine, const QaModelRecord& model, AskRequest request, const std::string& mode,
             Frames& frames, bool altered) {
    const auto known = tokenModeFromName(mode);
    if (!known) {
        std::fprintf(stderr, "\"%s\" is no token mode\n", mode.c_str());
        return false;
    }
    request.tokens.mode = *known;
    request.framesFile = frames.write(altered);
    request.frames = frames.count();
    for (int i = 0; i < frames.count(); ++i) {
        request.frameIndex.push_back(i);
        request.frameSeconds.push_back(i);
    }
    request.videoSeconds = frames.count();
    Listener listener;
    const auto answer = engine.ask(request, model, listener, {});
    if (!answer) {
        std::fprintf(stderr, "%s\n", answer.error().message.c_str());
        return false;
    }
    Value line = toValue(*answer);
    line.set("planned_by_stage", listener.planned);
    std::printf("%s\n", toJson(line).c_str());
    std::fflush(stdout);
    return true;
}

int run(Options& options) {
    options.request.device = options.device == "cuda" ? DeviceKind::Cuda : DeviceKind::Cpu;
    options.request.precision = options.precision == "fp32"   ? Precision::Float32
                                : options.precision == "bf16" ? Precision::BFloat16
                                                              : Precision::Auto;
    const auto model = scanQaModel(options.model);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    const auto request = withModelDefaults(options.request, *model);
    const int count = options.frames > 0 ? options.frames : request.frames;
    Frames frames(count, model->vision.imageSize, options.framesFile);
    const auto engine = accel::makeEngine();
    if (!options.serve) {
        for (int i = 0; i < options.runs; ++i) {
            if (!askOnce(*engine, *model, request, options.mode, frames, !options.warm))
                return 1;
        }
        return 0;
    }
    std::string mode;
    auto served = request;
    while (std::cin >> mode >> served.tokens.keep) {
        if (!askOnce(*engine, *model, served, mode, frames, !options.warm))
            return 1;
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Times questions about one video through the engine");
    Options options;
    options.request.question = "Describe the video.";
    app.add_option("--model", options.model)->required();
    app.add_option("--frames-file", options.framesFile);
    app.add_option("--frames", options.frames);
    app.add_option("--question", options.request.question);
    app.add_option("--mode", options.mode);
    app.add_option("--keep", options.request.tokens.keep);
    app.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--precision", options.precision)->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    app.add_option("--threads", options.request.threads);
    app.add_option("--max-new", options.request.maxNewTokens);
    app.add_option("--runs", options.runs);
    app.add_flag("--warm", options.warm);
    app.add_flag("--serve", options.serve);
    CLI11_PARSE(app, argc, argv);
    try {
        return run(options);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
