// canopy-bench: is our attention right on this card, and how fast is it beside LibTorch's?
//
//   canopy-bench [--check-only | --no-check] [--quick] [--case NAME] [--rounds N] [--masks FILE]
//                [--json FILE] [--export FILE] [--fa3 LIBRARY]
//
// Correctness first, against float64; then per case the contenders in turns on one stream: cuDNN's dense
// attention as LibTorch calls it (the baseline of every ratio), FlashAttention-2 where --quick is absent,
// ours dense and ours over the lists. "speed-up" is time against the baseline's, "rate" TFLOP/s per selected
// FLOP against it.
// --fa3 adds FlashAttention-3's dense forward out of the wheel fa3-fwd; eta is a rate against its.
// --export writes the inputs, lists and our output of the last timed case as safetensors, for baselines.py.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <c10/core/InferenceMode.h>
#include <torch/headeronly/version.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>

#include "accel/ops/attention.h"
#include "accel/ops/attention_card.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "core/formats/safetensors.h"
#include "tests/bench/canopy_bench/estimate.h"
#include "tests/bench/canopy_bench/flash_attention3.h"
#include "tests/bench/canopy_bench/recorded_masks.h"
#include "tests/bench/canopy_bench/report.h"

using namespace canopy;
using namespace canopy::bench;

namespace {

std::vector<Contender> contendersOf(const AttentionCase& what, const AttentionProblem& problem, bool quick,
                                    const DenseAttention& flashAttention3) {
    // LibTorch wants [B, H, L, D]; the transposed views are what our models would hand it.
    const at::Tensor q = problem.q.transpose(1, 2), k = problem.k.transpose(1, 2),
                     v = problem.v.transpose(1, 2);
    const double denseFlop = 4.0 * static_cast<double>(what.depth * what.heads) *
                             static_cast<double>(what.tokens) * static_cast<double>(what.tokens);
    std::vector<Contender> contenders;
    contenders.push_back({"cuDNN", "_scaled_dot_product_cudnn_attention, dense", denseFlop,
                          [=] { at::_scaled_dot_product_cudnn_attention(q, k, v, {}, false); }});
    if (!quick && what.tokens < 40'000)
        contenders.push_back({"FlashAttention-2", "_scaled_dot_product_flash_attention, dense", denseFlop,
                              [=] { at::_scaled_dot_product_flash_attention(q, k, v); }});
    if (flashAttention3)
        contenders.push_back({"FlashAttention-3", "fa3_fwd::fwd, dense", denseFlop,
                              [=, p = problem] { flashAttention3(p.q, p.k, p.v); }});
    const std::string kernel = "attendKernel<" + std::to_string(what.depth) + ">";
    const double scale = 1.0 / std::sqrt(static_cast<double>(what.depth));
    contenders.push_back({"ours, dense", kernel, denseFlop, [p = problem, scale] {
                              accel::ops::attendOnCard(p.q, p.k, p.v, scale, {}, false);
                          }});
    if (!accel::ops::isCardKernelFastest(problem.q, problem.k, {}))
        contenders.push_back({"as the program", "scaled_dot_product_attention", denseFlop,
                              [p = problem] { accel::ops::attention(p.q, p.k, p.v); }});
    if (problem.options.cardLists)
        contenders.push_back({"ours, lists", "orderKernel + " + kernel, selectedFlop(what, problem),
                              [p = problem] { accel::ops::attention(p.q, p.k, p.v, p.options); }});
    return contenders;
}

void record(Report& report, const AttentionCase& what, const AttentionProblem& problem,
            std::vector<Timing> timings) {
    TimedCase timed{what, 1, problem.metadataBytes, std::move(timings), readCardState()};
    timed.density = problem.pairs / (static_cast<double>(what.heads) * static_cast<double>(what.tokens) *
                                     static_cast<double>(what.tokens));
    printTimed(timed);
    report.timed.push_back(std::move(timed));
}

TensorBytes bytesOf(const char* name, DType type, const at::Tensor& cpu) {
    TensorBytes bytes{name, type, {}, {static_cast<const std::uint8_t*>(cpu.const_data_ptr()), cpu.nbytes()}};
    for (const std::int64_t size : cpu.sizes())
        bytes.shape.push_back(static_cast<std::uint64_t>(size));
    return bytes;
}

void exportProblem(const AttentionProblem& problem, const std::string& path) {
    const at::Tensor q = problem.q.cpu(), k = problem.k.cpu(), v = problem.v.cpu();
    const at::Tensor out = accel::ops::attention(problem.q, problem.k, problem.v, problem.options).cpu();
    std::vector<TensorBytes> tensors{bytesOf("q", DType::BF16, q), bytesOf("k", DType::BF16, k),
                                     bytesOf("v", DType::BF16, v), bytesOf("out", DType::BF16, out)};
    if (problem.chosen.defined())
        tensors.push_back(bytesOf("chosen", DType::Bool, problem.chosen));
    const auto file = writeSafetensors(tensors);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Checks our attention on this card and times it beside LibTorch's."};
    bool checkOnly = false, skipCheck = false, quick = false;
    int rounds = 9;
    std::string only, json, exported, maskFile, fa3File;
    auto* const checkFlag = app.add_flag("--check-only", checkOnly, "Correctness alone");
    app.add_flag("--no-check", skipCheck, "Times alone")->excludes(checkFlag);
    app.add_flag("--quick", quick, "32,760 tokens only, without FlashAttention-2");
    app.add_option("--case", only, "Time the cases of this name alone");
    app.add_option("--rounds", rounds, "Timed rounds per case")->check(CLI::Range(3, 1000));
    app.add_option("--masks", maskFile, "Time recorded masks too; record_masks writes them");
    app.add_option("--fa3", fa3File, "_C.abi3.so of the wheel fa3-fwd");
    app.add_option("--json", json, "Write everything to this file too");
    app.add_option("--export", exported, "Write the last timed case as safetensors");
    CLI11_PARSE(app, argc, argv);

    auto loaded = accel::loadCuda();
    if (!loaded) {
        std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
        return 1;
    }
    const std::unique_ptr<accel::Device> device = std::move(*loaded);
    const c10::InferenceMode inference;
    Report report;
    report.torchVersion = std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR) +
                          "." + std::to_string(TORCH_VERSION_PATCH);
    report.cudnnVersion = at::detail::getCUDAHooks().versionRuntimeCuDNN();
    report.card = readCardState();
    std::printf("%s, driver %s, LibTorch %s, cuDNN %ld\n", device->name().c_str(), report.card.driver.c_str(),
                report.torchVersion.c_str(), report.cudnnVersion);

    DenseAttention flashAttention3;
    if (!fa3File.empty()) {
        auto opened = openFlashAttention3(fa3File);
        if (!opened) {
            std::fprintf(stderr, "%s\n", opened.error().message.c_str());
            return 1;
        }
        flashAttention3 = std::move(*opened);
    }

    bool allRight = true;
    if (!skipCheck) {
        for (const AttentionCase& what : checkCases()) {
            const AttentionProblem problem = makeProblem(what, device->torchDevice(), 11);
            report.checks.push_back({what, check(what, problem)});
            printCheck(report.checks.back());
            allRight = allRight && report.checks.back().result.passed;
        }
    }
    if (!allRight) {
        std::fprintf(stderr, "Nothing is timed, since results above are wrong.\n");
    } else if (!checkOnly) {
        for (const AttentionCase& what : timedCases(quick)) {
            if (!only.empty() && what.name != only)
                continue;
            const AttentionProblem problem = makeProblem(what, device->torchDevice(), 12);
            if (flashAttention3) {
                const at::Tensor theirs = flashAttention3(problem.q, problem.k, problem.v).to(at::kFloat);
                const at::Tensor ours = accel::ops::attention(problem.q, problem.k, problem.v).to(at::kFloat);
                std::printf("FlashAttention-3 against ours: %.1e of the norm\n",
                            (theirs - ours).norm().item<double>() / ours.norm().item<double>());
            }
            record(report, what, problem,
                   interleave(contendersOf(what, problem, quick, flashAttention3), 2, rounds));
            if (!exported.empty())
                exportProblem(problem, exported);
        }
        if (!maskFile.empty()) {
            constexpr std::int64_t kHeads = 12;
            const auto masks = readMasks(maskFile, kHeads);
            if (!masks) {
                std::fprintf(stderr, "%s\n", masks.error().message.c_str());
                return 1;
            }
            for (const RecordedMask& mask : *masks) {
                const AttentionProblem problem = makeProblem(mask, device->torchDevice(), 14);
                record(report, mask.what, problem,
                       interleave(contendersOf(mask.what, problem, true, flashAttention3), 2, rounds));
            }
        }
        for (const EstimateCase& estimate : estimateCases(quick)) {
            if (!only.empty() && estimate.what.name != only)
                continue;
            const AttentionProblem problem = makeProblem(estimate.what, device->torchDevice(), 13);
            record(report, estimate.what, problem,
                   interleave(estimateContenders(estimate, problem), 2, rounds));
        }
    }
    if (!json.empty())
        writeJson(report, json);
    return allRight ? 0 : 1;
}
