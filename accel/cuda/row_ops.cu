#include "accel/cuda/row_ops.h"

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include "accel/cuda/row_ops.cuh"

namespace canopy::accel::cuda {

namespace {

/// Rows whose loads are under way together.
constexpr int kTogether = 4;

__global__ void __launch_bounds__(kMostRowThreads) layerNormKernel(LayerNormParams p) {
    const RowPlace place(p.tokens, p.channels);
    Sums sums;
    Eight scale{}, shift{};
    std::int64_t loaded = -1;
    RowQueue<kTogether> queue(p.x, p.xStride, place);
    auto* out = static_cast<__nv_bfloat16*>(p.out);
    for (std::int64_t first = place.begin; first < place.end; first += kTogether) {
        Eight rows[kTogether];
        float sum[kTogether] = {}, square[kTogether] = {};
        queue.take(first, rows);
#pragma unroll
        for (int i = 0; i < kTogether; ++i)
            for (const float v : rows[i].value)
                sum[i] += v;
        sums.over<kTogether>(sum);
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            sum[i] /= static_cast<float>(p.channels);
            if (place.isActive)
                for (const float v : rows[i].value)
                    square[i] += (v - sum[i]) * (v - sum[i]);
        }
        sums.over<kTogether>(square);
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            const std::int64_t token = first + i;
            if (!place.has(token))
                continue;
            if (const std::int64_t row = token / p.tokensPerRow; row != loaded) {
                loaded = row;
                scale = loadEight(p.scale + row * p.scaleStride + place.channel);
                shift = loadEight(p.shift + row * p.shiftStride + place.channel);
            }
            const float inverse = rsqrtf(square[i] / static_cast<float>(p.channels) + p.eps);
            Eight result;
            for (int c = 0; c < 8; ++c)
                result.value[c] =
                    (rows[i].value[c] - sum[i]) * inverse * (p.scaleBase + scale.value[c]) + shift.value[c];
            storeEight(out + token * p.channels + place.channel, result);
        }
    }
}

__global__ void __launch_bounds__(kMostRowThreads) gateAddKernel(GateAddParams p) {
    const RowPlace place(p.tokens, p.channels);
    if (!place.isActive)
        return;
    Eight gate{};
    std::int64_t loaded = -1;
    const auto* x = static_cast<const __nv_bfloat16*>(p.x);
    const auto* y = static_cast<const __nv_bfloat16*>(p.y);
    auto* out = static_cast<__nv_bfloat16*>(p.out);
    for (std::int64_t first = place.begin; first < place.end; first += kTogether) {
        Eight a[kTogether], b[kTogether];
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            if (!place.has(first + i))
                continue;
            a[i] = loadEight(x + (first + i) * p.channels + place.channel);
            b[i] = loadEight(y + (first + i) * p.channels + place.channel);
        }
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            const std::int64_t token = first + i;
            if (!place.has(token))
                continue;
            if (const std::int64_t row = token / p.tokensPerRow; row != loaded) {
                loaded = row;
                gate = loadEight(p.gate + row * p.gateStride + place.channel);
            }
            for (int c = 0; c < 8; ++c)
                a[i].value[c] += gate.value[c] * b[i].value[c];
            storeEight(out + token * p.channels + place.channel, a[i]);
        }
    }
}

__global__ void __launch_bounds__(kMostRowThreads) normRopeKernel(NormRopeParams p) {
    const RowPlace place(p.tokens, p.channels);
    Sums sums;
    Eight gain{}, total{};
    if (place.isActive)
        gain = loadEight(p.gain + place.channel);
    const std::int64_t pair = place.channel % p.headDim / 2, pairs = p.headDim / 2;
    RowQueue<kTogether> queue(p.x, p.xStride, place);
    auto* out = static_cast<__nv_bfloat16*>(p.out);
    for (std::int64_t first = place.begin; first < place.end; first += kTogether) {
        Eight rows[kTogether];
        float square[kTogether] = {};
        queue.take(first, rows);
#pragma unroll
        for (int i = 0; i < kTogether; ++i)
            for (const float v : rows[i].value)
                square[i] += v * v;
        sums.over<kTogether>(square);
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
            const std::int64_t token = first + i;
            if (!place.has(token))
                continue;
            const float inverse = rsqrtf(square[i] / static_cast<float>(p.channels) + p.eps);
            float(&row)[8] = rows[i].value;
            for (int c = 0; c < 8; ++c)
                row[c] = row[c] * inverse * gain.value[c];
            if (p.cos) {
                const float4 cosine = *reinterpret_cast<const float4*>(p.cos + token * pairs + pair);
                const float4 sine = *reinterpret_cast<const float4*>(p.sin + token * pairs + pair);
                const float turn[4][2] = {
                    {cosine.x, sine.x}, {cosine.y, sine.y}, {cosine.z, sine.z}, {cosine.w, sine.w}};
                for (int j = 0; j < 4; ++j) {
                    const float a = rounded(row[2 * j]), b = rounded(row[2 * j + 1]);
                    row[2 * j] = a * turn[j][0] - b * turn[j][1];
                    row[2 * j + 1] = a * turn[j][1] + b * turn[j][0];
                }
            }
            storeEight(out + token * p.channels + place.channel, rows[i]);
            for (int c = 0; c < 8; ++c)
                total.value[c] += rounded(row[c]);
        }
    }
    if (p.mean && place.isActive)
        storeEight(static_cast<float*>(p.workspace) + std::int64_t{blockIdx.x} * p.channels + place.channel,
                   total);
}

constexpr int kMeanColumns = 32, kMeanRows = 32;

/// One block per 32 channels: adds up the slabs' sums in a fixed order.
__global__ void __launch_bounds__(kMeanColumns* kMeanRows)
    meanKernel(const float* slabSums, float* mean, std::int64_t slabs, std::int64_t tokens,
               std::int64_t channels) {
    __shared__ float part[kMeanRows][kMeanColumns];
    const std::int64_t channel = std::int64_t{blockIdx.x} * kMeanColumns + threadIdx.x;
    float sum = 0.0F;
    if (channel < channels)
#pragma unroll 8
        for (std::int64_t slab = threadIdx.y; slab < slabs; slab += kMeanRows)
            sum += slabSums[slab * channels + channel];
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || channel >= channels)
        return;
    for (int row = 1; row < kMeanRows; ++row)
        sum += part[row][threadIdx.x];
    mean[channel] = sum / static_cast<float>(tokens);
}

} // namespace

int layerNorm(const LayerNormParams& params, void* stream) {
    layerNormKernel<<<slabsOf(params.tokens), threadsFor(params.channels), 0,
                      static_cast<cudaStream_t>(stream)>>>(params);
    return cudaGetLastError();
}

int gateAdd(const GateAddParams& params, void* stream) {
    gateAddKernel<<<slabsOf(params.tokens), threadsFor(params.channels), 0,
                    static_cast<cudaStream_t>(stream)>>>(params);
    return cudaGetLastError();
}

int normRope(const NormRopeParams& params, void* streamHandle) {
    const auto stream = static_cast<cudaStream_t>(streamHandle);
    normRopeKernel<<<slabsOf(params.tokens), threadsFor(params.channels), 0, stream>>>(params);
    if (params.mean)
        meanKernel<<<static_cast<unsigned>((params.channels + kMeanColumns - 1) / kMeanColumns),
                     dim3(kMeanColumns, kMeanRows), 0, stream>>>(static_cast<const float*>(params.workspace),
                                                                 params.mean, slabsOf(params.tokens),
                                                                 params.tokens, params.channels);
    return cudaGetLastError();
}

} // namespace canopy::accel::cuda
