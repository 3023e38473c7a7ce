#pragma once

#include <cstdint>

#include "accel/cuda/ampere/mma.cuh"
#include "accel/cuda/key_walk.cuh"
#include "accel/cuda/softmax.cuh"

// The form of block_attention.h for cards before and after Hopper: mma.sync and cp.async, one block of eight
// warps per tile of queries, 16 rows a warp with queries, scores and output in registers. Keys and values
// come in boxes of 64 rows, two of them in shared memory: one is multiplied while the next is copied.
namespace canopy::accel::cuda::ampere {

constexpr int kWarps = 8, kThreads = 32 * kWarps;

struct MmaArgs {
    const std::uint16_t* q;
    const std::uint16_t* k;
    const std::uint16_t* v;
    std::uint16_t* out;
    float* logSumExp;
    TensorStrides qStrides, kStrides, vStrides, outStrides;
    KeyLists keys;
    const TokenSpan* tiles;
    const std::int32_t* order; ///< tile numbers, longest first; null for ascending
    std::int32_t tileCount, heads, headsPerKeyHead;
    std::int32_t queryTokens, keyTokens;
    float scaleLog2; ///< scale * log2(e)
};

/// One box of keys: `rows` of it from `first` on, masked as in KeyStage.
struct KeyBox {
    std::int32_t first = 0, low = 0, high = kBoxRows, diagonal = kBoxRows;
};

/// The boxes of a tile one by one, those without a visible key left out. A stage always has one.
class BoxWalk {
public:
    __device__ explicit BoxWalk(const KeyWalk& walk)
        : m_walk(walk)
        , m_more(!m_walk.empty()) {}

    /// False at the end.
    __device__ bool next(KeyBox& box) {
        while (m_half < 2 || m_more) {
            if (m_half == 2) {
                m_stage = m_walk.next();
                m_more = !m_stage.last;
                m_half = 0;
            }
            const std::int32_t shift = m_half * kBoxRows;
            box = {m_half == 0 ? m_stage.firstRow : m_stage.secondRow, max(m_stage.low - shift, 0),
                   min(m_stage.high - shift, kBoxRows), m_stage.diagonal - shift};
            ++m_half;
            if (box.low < box.high)
                return true;
        }
        return false;
    }

private:
    KeyWalk m_walk;
    KeyStage m_stage;
    int m_half = 2;
    bool m_more;
};

/// Rows of D channels in shared memory, their chunks of 16 bytes swizzled by row.
template <int D>
__device__ __forceinline__ std::uint32_t chunkAt(std::uint32_t base, std::uint32_t row, std::uint32_t chunk) {
    return base + row * D * 2 + ((chunk ^ (row & 7)) * 16);
}

/// `Rows` rows from `first` on; those from `end` on become 0.
template <int D, int Rows>
__device__ __forceinline__ void copyRows(std::uint32_t base, const std::uint16_t* from,
                                         std::int64_t tokenStride, std::int32_t first, std::int32_t end) {
    constexpr std::uint32_t kChunks = D / 8;
    for (std::uint32_t i = threadIdx.x; i < Rows * kChunks; i += kThreads) {
        const std::uint32_t row = i / kChunks, chunk = i % kChunks;
        const std::int32_t token = first + static_cast<std::int32_t>(row);
        const bool exists = token < end;
        copyAsync(chunkAt<D>(base, row, chunk), from + (exists ? token : 0) * tokenStride + chunk * 8,
                  exists);
    }
}

/// Shared memory: two boxes of keys and values. Queries come in through it, and outputs leave.
template <int D>
struct MmaLayout {
    static constexpr std::uint32_t kBoxBytes = kBoxRows * D * 2;
    static constexpr int kBytes = 4 * static_cast<int>(kBoxBytes);
};

template <int D>
__global__ void __launch_bounds__(kThreads) mmaKernel(const MmaArgs args) {
    extern __shared__ uint4 memory[];
    const auto base = static_cast<std::uint32_t>(__cvta_generic_to_shared(memory));
    const auto lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const auto number = static_cast<std::int32_t>(blockIdx.x);
    const TileIndex at = tileIndex(args.order ? args.order[number] : number, args.heads, args.tileCount);
    const std::int32_t begin = at.tile * kQueryTile;
    const TokenSpan queries =
        args.tiles ? args.tiles[at.tile] : TokenSpan{begin, min(begin + kQueryTile, args.queryTokens)};
    const std::int32_t keyHead = at.head / args.headsPerKeyHead;
    const std::uint16_t* k = args.k + at.batch * args.kStrides.batch + keyHead * args.kStrides.head;
    const std::uint16_t* v = args.v + at.batch * args.vStrides.batch + keyHead * args.vStrides.head;

    copyRows<D, kQueryTile>(base, args.q + at.batch * args.qStrides.batch + at.head * args.qStrides.head,
                            args.qStrides.token, queries.begin, queries.end);
    commitCopies();
    waitForCopies();
    __syncthreads();
    std::uint32_t q[D / 16][4];
#pragma unroll
    for (std::uint32_t step = 0; step < D / 16; ++step)
        loadMatrices(q[step], chunkAt<D>(base, warp * 16 + lane % 16, step * 2 + lane / 16));
    __syncthreads();

    const auto fetch = [&](const KeyBox& box, std::uint32_t place) {
        const std::uint32_t keys = base + place * 2 * MmaLayout<D>::kBoxBytes;
        copyRows<D, kBoxRows>(keys, k, args.kStrides.token, box.first, args.keyTokens);
        copyRows<D, kBoxRows>(keys + MmaLayout<D>::kBoxBytes, v, args.vStrides.token, box.first,
                              args.keyTokens);
        commitCopies();
    };
    BoxWalk walk(KeyWalk(args.keys, args.queryTokens, args.keyTokens, at, queries));
    RunningSoftmax softmax;
    softmax.reset();
    float o[D / 8][4] = {};
    KeyBox box, following;
    bool more = walk.next(box);
    if (more)
        fetch(box, 0);
    for (std::uint32_t place = 0; more; place ^= 1) {
        waitForCopies();
        __syncthreads(); // the box is there, and all warps are done with the one before
        more = walk.next(following);
        if (more)
            fetch(following, place ^ 1);
        const std::uint32_t keys = base + place * 2 * MmaLayout<D>::kBoxBytes,
                            values = keys + MmaLayout<D>::kBoxBytes;

        float s[kBoxRows / 8][4] = {};
#pragma unroll
        for (std::uint32_t step = 0; step < D / 16; ++step) {
#pragma unroll
            for (std::uint32_t pair = 0; pair < kBoxRows / 16; ++pair) {
                std::uint32_t m[4];
                loadMatrices(m,
                             chunkAt<D>(keys, pair * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
                multiplyAdd(s[2 * pair], q[step], m[0], m[1]);
                multiplyAdd(s[2 * pair + 1], q[step], m[2], m[3]);
            }
        }
        if (box.low > 0 || box.high < kBoxRows || box.diagonal < kBoxRows - 1) {
            const auto row = static_cast<std::int32_t>(warp * 16 + lane / 4);
#pragma unroll
            for (int i = 0; i < kBoxRows / 2; ++i) {
                const std::int32_t column = i / 4 * 8 + static_cast<std::int32_t>(lane % 4) * 2 + i % 2;
                if (column < box.low || column >= box.high || column > box.diagonal + row + i % 4 / 2 * 8)
                    s[i / 4][i % 4] = -INFINITY;
            }
        }
        float rescale[2];
        auto& scores = reinterpret_cast<float(&)[kBoxRows / 2]>(s);
        if (softmax.absorb(scores, args.scaleLog2, rescale)) {
#pragma unroll
            for (auto& part : o) {
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    part[i] *= rescale[i / 2];
            }
        }
#pragma unroll
        for (std::uint32_t step = 0; step < kBoxRows / 16; ++step) {
            const std::uint32_t p[4] = {packBf16(s[2 * step][0], s[2 * step][1]),
                                        packBf16(s[2 * step][2], s[2 * step][3]),
                                        packBf16(s[2 * step + 1][0], s[2 * step + 1][1]),
                                        packBf16(s[2 * step + 1][2], s[2 * step + 1][3])};
#pragma unroll
            for (std::uint32_t pair = 0; pair < D / 16; ++pair) {
                std::uint32_t m[4];
                loadTransposed(m, chunkAt<D>(values, step * 16 + lane % 16, pair * 2 + lane / 16));
                multiplyAdd(o[2 * pair], p, m[0], m[1]);
                multiplyAdd(o[2 * pair + 1], p, m[2], m[3]);
            }
        }
        box = following;
    }

    float sums[2];
    softmax.total(sums);
    const bool seen = sums[0] > 0; // all rows of a tile see the same boxes
    const float inverse[2] = {seen ? 1.0F / sums[0] : 0.0F, seen ? 1.0F / sums[1] : 0.0F};
    __syncthreads();
#pragma unroll
    for (std::uint32_t i = 0; i < D / 8; ++i) {
#pragma unroll
        for (std::uint32_t half = 0; half < 2; ++half) {
            const std::uint32_t place = chunkAt<D>(0, warp * 16 + lane / 4 + half * 8, i) / 4 + lane % 4;
            reinterpret_cast<std::uint32_t*>(memory)[place] =
                packBf16(o[i][2 * half] * inverse[half], o[i][2 * half + 1] * inverse[half]);
        }
    }
    __syncwarp();
    std::uint16_t* out = args.out + at.batch * args.outStrides.batch + at.head * args.outStrides.head;
    constexpr std::uint32_t kChunks = D / 8;
#pragma unroll
    for (std::uint32_t i = lane; i < 16 * kChunks; i += 32) {
        const std::uint32_t row = warp * 16 + i / kChunks, chunk = i % kChunks;
        const std::int32_t token = queries.begin + static_cast<std::int32_t>(row);
        if (token < queries.end)
            *reinterpret_cast<uint4*>(out + token * args.outStrides.token + chunk * 8) =
                memory[chunkAt<D>(0, row, chunk) / 16];
    }
    if (args.logSumExp && lane % 4 == 0) {
        constexpr float kLn2 = 0.693147180559945309F;
        float* sumsOut = args.logSumExp + (std::int64_t{at.batch} * args.heads + at.head) * args.queryTokens;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const std::int32_t token =
                queries.begin + static_cast<std::int32_t>(warp * 16 + lane / 4) + half * 8;
            if (token < queries.end)
                sumsOut[token] = seen ? (softmax.reference[half] + log2f(sums[half])) * kLn2 : -INFINITY;
        }
    }
}

} // namespace canopy::accel::cuda::ampere
