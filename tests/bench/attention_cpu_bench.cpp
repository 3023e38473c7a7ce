// Attention on the CPU against LibTorch's scaled_dot_product_attention: same threads, same dtype, same
// tensors. Rounds are interleaved (ours, theirs, ours, theirs, ...), medians compared: other work on the
// machine hits both.
//
//   attention_cpu_bench [threads = 2] [rounds = 9] [all | shapes | densities | choosing] [processor]
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "accel/ops/attention.h"
#include "accel/ops/block_score.h"
#include "accel/policies/attention/svg2.h"
#include "core/job/attention_settings.h"

namespace {

using namespace canopy;
using namespace canopy::accel;

struct Times {
    double median, lowest, highest;
};

Times summary(std::vector<double> seconds) {
    std::sort(seconds.begin(), seconds.end());
    return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

/// Processor time instead of elapsed time: for one thread on a machine with other work.
bool countsProcessorTime = false;

double now() {
    if (countsProcessorTime)
        return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds(const std::function<void()>& work) {
    const double start = now();
    work();
    return now() - start;
}

/// Block lists that keep about `density` of the key blocks of each query block, never none.
void chooseBlocks(ops::AttentionOptions& options, std::int64_t heads, std::int64_t tokens, double density) {
    const std::int64_t blocks = (tokens + kernels::kAttentionBlock - 1) / kernels::kAttentionBlock;
    std::mt19937 random(7);
    std::bernoulli_distribution keeps(density);
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids;
    for (std::int64_t entry = 0; entry < heads * blocks; ++entry) {
        for (std::int64_t block = 0; block < blocks; ++block)
            if (block == entry % blocks || keeps(random))
                ids.push_back(static_cast<std::int32_t>(block));
        offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    options.keyBlockOffsets = at::empty({static_cast<std::int64_t>(offsets.size())}, at::kLong);
    std::copy(offsets.begin(), offsets.end(), options.keyBlockOffsets.mutable_data_ptr<std::int64_t>());
    options.keyBlockIds = at::empty({static_cast<std::int64_t>(ids.size())}, at::kInt);
    std::copy(ids.begin(), ids.end(), options.keyBlockIds.mutable_data_ptr<std::int32_t>());
}

void compare(std::int64_t heads, std::int64_t queryTokens, std::int64_t keyTokens, std::int64_t depth,
             at::ScalarType dtype, double density, int rounds) {
    const at::Tensor q = at::randn({1, queryTokens, heads, depth}).to(dtype);
    const at::Tensor k = at::randn({1, keyTokens, heads, depth}).to(dtype);
    const at::Tensor v = at::randn({1, keyTokens, heads, depth}).to(dtype);
    ops::AttentionOptions options;
    double kept = 1;
    if (density < 1) {
        chooseBlocks(options, heads, queryTokens, density);
        kept = static_cast<double>(options.keyBlockIds.numel()) * kernels::kAttentionBlock *
               kernels::kAttentionBlock / static_cast<double>(heads * queryTokens * keyTokens);
    }
    std::vector<double> ours;
    std::vector<double> theirs;
    for (int round = -1; round < rounds; ++round) {
        const double a = seconds([&] { ops::attention(q, k, v, options); });
        const double b = seconds([&] {
            at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));
        });
        if (round < 0)
            continue; // warm-up
        ours.push_back(a);
        theirs.push_back(b);
    }
    const Times a = summary(ours);
    const Times b = summary(theirs);
    const double flop = 4.0 * static_cast<double>(heads * queryTokens * keyTokens * depth);
    std::printf(
        "%2lld x %5lld x %5lld x %3lld  %-5s  %5.2f  %8.2f ms %7.1f [%.1f..%.1f]  %8.2f ms %7.1f  %6.2f\n",
        static_cast<long long>(heads), static_cast<long long>(queryTokens), static_cast<long long>(keyTokens),
        static_cast<long long>(depth), dtype == at::kFloat ? "fp32" : "bf16", kept, a.median * 1e3,
        flop * kept / a.median / 1e9, flop * kept / a.highest / 1e9, flop * kept / a.lowest / 1e9,
        b.median * 1e3, flop / b.median / 1e9, b.median / a.median);
    std::fflush(stdout);
}

/// Medians of contenders in turns, milliseconds; the first round is left out.
std::vector<double> inTurns(const std::vector<std::function<void()>>& contenders, int rounds) {
    std::vector<std::vector<double>> times(contenders.size());
    for (int round = -1; round < rounds; ++round)
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            const double t = seconds(contenders[i]);
            if (round >= 0)
                times[i].push_back(t);
        }
    std::vector<double> medians;
    for (auto& each : times)
        medians.push_back(summary(std::move(each)).median * 1e3);
    return medians;
}

/// What choosing costs beside dense attention of the same shape: XAttention's estimate with its lists, and
/// SVG2's two warm iterations of k-means with its maps, at the default numbers of clusters.
void choosing(std::int64_t heads, std::int64_t tokens, std::int64_t depth, at::ScalarType dtype, int rounds) {
    AttentionCall call;
    call.grid = {1, 1, static_cast<int>(tokens), 0};
    call.q = at::randn({1, tokens, heads, depth}).to(dtype);
    call.k = at::randn({1, tokens, heads, depth}).to(dtype);
    call.v = at::randn({1, tokens, heads, depth}).to(dtype);
    ops::BlockScoreOptions options;
    options.tau = at::full({heads}, 0.9, at::kFloat);
    AttentionSettings settings;
    settings.method = AttentionMethod::Svg2;
    settings = withAttentionDefaults(settings, tokens, 16);
    const Svg2 svg2({settings.queryClusters, settings.keyClusters, {0.9}});
    std::vector<std::int64_t> all;
    for (std::int64_t h = 0; h < heads; ++h)
        all.push_back(h);
    std::unique_ptr<SparseMask> mask;
    svg2.choose(call, all, mask); // cold
    const auto estimate = [&](std::int64_t stride) {
        options.stride = stride;
        ops::chooseBlocks(call.q, call.k, options);
    };
    const auto ms =
        inTurns({[&] {
                     at::scaled_dot_product_attention(call.q.transpose(1, 2), call.k.transpose(1, 2),
                                                      call.v.transpose(1, 2));
                 },
                 [&] { ops::attention(call.q, call.k, call.v); }, [&] { estimate(8); }, [&] { estimate(16); },
                 [&] {
                     ++call.step; // a step anew, so that centres move on
                     svg2.choose(call, all, mask);
                 }},
                rounds);
    std::printf("%2lld x %5lld x %3lld  %-5s  %8.2f  %8.2f", static_cast<long long>(heads),
                static_cast<long long>(tokens), static_cast<long long>(depth),
                dtype == at::kFloat ? "fp32" : "bf16", ms[0], ms[1]);
    for (std::size_t i = 2; i < ms.size(); ++i)
        std::printf("  %7.2f %5.1f %5.1f", ms[i], 100 * ms[i] / ms[0], 100 * ms[i] / ms[1]);
    std::printf("\n");
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
    const std::string only = argc > 3 ? argv[3] : "all";
    countsProcessorTime = argc > 4 && std::string(argv[4]) == "processor";
    at::set_num_threads(threads);
    const c10::InferenceMode inference;
    std::printf("threads %d, kernel set %s, %d interleaved rounds, medians; rate per selected FLOP "
                "[lowest..highest]\n",
                threads, kernels::kernelSetName(kernels::bestKernelSet()), rounds);
    std::printf("heads x queries x keys x D  dtype  kept  ours          GFLOP/s                 LibTorch     "
                "GFLOP/s   "
                "ratio\n");
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        if (only == "shapes" || only == "all") {
            compare(8, 2304, 2304, 64, dtype, 1, rounds);
            compare(6, 2160, 2160, 64, dtype, 1, rounds);
            compare(6, 2160, 64, 64, dtype, 1, 5 * rounds);
            compare(12, 4096, 512, 128, dtype, 1, rounds);
        }
        if (only == "densities" || only == "all")
            for (const std::int64_t tokens : {4096, 8100})
                for (const std::int64_t depth : {64, 128})
                    for (const double density : {0.1, 0.2, 0.3, 0.5, 0.7, 1.0})
                        compare(4, tokens, tokens, depth, dtype, density, rounds);
    }
    if (only != "all" && only != "choosing")
        return 0;
    std::printf("\nchoosing: ms, and per cent of LibTorch's dense attention and of ours\n"
                "heads x tokens x D  dtype  LibTorch      ours  stride 8             stride 16           "
                "SVG2\n");
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
        for (const std::int64_t tokens : {4096, 8100})
            for (const std::int64_t depth : {64, 128})
                choosing(4, tokens, depth, dtype, rounds);
    return 0;
}
