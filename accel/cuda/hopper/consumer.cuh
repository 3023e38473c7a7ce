#pragma once

#include <cstdint>

#include "accel/cuda/hopper/shared_layout.cuh"
#include "accel/cuda/hopper/wgmma.cuh"
#include "accel/cuda/softmax.cuh"

namespace canopy::accel::cuda::hopper {

/// Body of a consumer warpgroup: 64 query rows of every tile; queries, scores and output in registers.
///
/// The stages of all tiles form one stream. Per turn a warpgroup issues the scores of the next stage and then
/// the product of this stage's probabilities with its values, and computes the next probabilities while the
/// latter runs; also across the border between two tiles, so that a tile's end costs no bubble. The two
/// warpgroups run free of each other: taking turns by named barriers, and scores from queries in shared
/// memory, were both slower (tests/bench/RESULTS.md).
template <int D>
class Consumer {
    using Layout = SharedLayout<D>;
    static constexpr int kScores = kStageRows / 2; // accumulator registers of a 64-row tile
    static constexpr int kOutputs = D / 2;
    static constexpr int kQuerySteps = D / 16, kValueSteps = kStageRows / 16;
    static constexpr int kGroupThreads = 128;

public:
    __device__ Consumer(const KernelArgs& args, std::uint32_t base, typename Layout::Control& control,
                        int group)
        : m_args(args)
        , m_base(base)
        , m_control(control)
        , m_group(group) {}

    __device__ __forceinline__ void run() {
        float o[kOutputs];
        float s[kScores];
        std::uint32_t p[kValueSteps][4];
        float rescale[2];
        std::uint32_t q[kQuerySteps][4];
        RunningSoftmax softmax;

        Ticket tile = take();
        if (tile.batch == kNoTile)
            return;
        std::uint32_t tileSlot = takenSlot();
        softmax.reset();
        clear(o);
        loadQueries(q, tileSlot);

        RingPlace<Layout::kSlots> keys = m_slot;
        waitBarrier(sharedAddress(&m_control.slotFull[keys.slot]), keys.parity);
        std::uint32_t info = stageInfo(keys.slot);
        wgmmaFence();
        issueScores(s, q, keys.slot);
        wgmmaCommit();
        wgmmaWait<0>();
        pin(s);
        releaseSlot(keys.slot);
        m_slot.advance();
        mask(s, info);
        softmax.absorb(s, m_args.scaleLog2, rescale);
        pack(p, s);

        for (;;) {
            const bool ends = (info & kLastStage) != 0;
            Ticket following = tile;
            std::uint32_t followingSlot = tileSlot;
            if (ends) {
                following = take();
                if (following.batch == kNoTile)
                    break;
                followingSlot = takenSlot();
                loadQueries(q, followingSlot);
            }
            keys = m_slot;
            m_slot.advance();
            const RingPlace<Layout::kSlots> values = m_slot;
            m_slot.advance();

            waitBarrier(sharedAddress(&m_control.slotFull[keys.slot]), keys.parity);
            info = stageInfo(keys.slot);
            pin(s);
            pin(o);
            wgmmaFence();
            issueScores(s, q, keys.slot);
            wgmmaCommit();
            waitBarrier(sharedAddress(&m_control.slotFull[values.slot]), values.parity);
            wgmmaFence();
            issueOutput(o, p, values.slot);
            wgmmaCommit();

            wgmmaWait<1>();
            pin(s);
            releaseSlot(keys.slot);
            mask(s, info);
            const RunningSoftmax finished = softmax;
            if (ends)
                softmax.reset();
            const bool moves = softmax.absorb(s, m_args.scaleLog2, rescale);

            wgmmaWait<0>();
            pin(o);
            releaseSlot(values.slot);
            if (ends) {
                finish(o, finished, tile, tileSlot);
                clear(o);
                tile = following;
                tileSlot = followingSlot;
            } else if (moves) {
                scaleRows(o, rescale);
            }
            pack(p, s);
        }

        waitBarrier(sharedAddress(&m_control.slotFull[m_slot.slot]), m_slot.parity);
        pin(o);
        wgmmaFence();
        issueOutput(o, p, m_slot.slot);
        wgmmaCommit();
        wgmmaWait<0>();
        pin(o);
        finish(o, softmax, tile, tileSlot);
    }

private:
    __device__ __forceinline__ int lane() const { return static_cast<int>(threadIdx.x % 32); }
    __device__ __forceinline__ int warpRow() const {
        return m_group * kBoxRows + static_cast<int>(threadIdx.x % kGroupThreads) / 32 * 16;
    }

    // What the producer wrote is read by the lane that later hands the place back, and passed on: its arrival
    // then orders every read before the next write.
    __device__ __forceinline__ Ticket take() {
        waitBarrier(sharedAddress(&m_control.ticketFull[m_ticket.slot]), m_ticket.parity);
        Ticket ticket{};
        if (lane() == 0)
            ticket = m_control.tickets[m_ticket.slot];
        m_ticket.advance();
        return {fromFirst(ticket.batch),
                fromFirst(ticket.head),
                {fromFirst(ticket.queries.begin), fromFirst(ticket.queries.end)}};
    }
    __device__ __forceinline__ std::uint32_t stageInfo(std::uint32_t slot) const {
        return fromFirst(lane() == 0 ? m_control.stageInfo[slot] : 0U);
    }
    template <typename T>
    static __device__ __forceinline__ T fromFirst(T value) {
        return __shfl_sync(0xFFFFFFFFU, value, 0);
    }
    __device__ __forceinline__ std::uint32_t takenSlot() const { return m_ticket.slot ^ 1; }

    __device__ __forceinline__ void releaseSlot(std::uint32_t slot) {
        if (lane() == 0)
            arrive(sharedAddress(&m_control.slotEmpty[slot]));
    }

    /// This warp's 16 rows as register operands.
    __device__ __forceinline__ void loadQueries(std::uint32_t (&q)[kQuerySteps][4], std::uint32_t tileSlot) {
        const std::uint32_t row = static_cast<std::uint32_t>(lane()) % 16;
        const std::uint32_t base = m_base + Layout::kQueries + tileSlot * Layout::kTileBytes +
                                   (static_cast<std::uint32_t>(warpRow()) + row) * Layout::kRowBytes;
#pragma unroll
        for (int step = 0; step < kQuerySteps; ++step) {
            const std::uint32_t chunk = static_cast<std::uint32_t>(step % 4 * 2 + lane() / 16);
            loadMatrices(q[step], base + step / 4 * Layout::kColumnBlockBytes + ((chunk ^ (row % 8)) * 16));
        }
    }
    __device__ __forceinline__ void issueScores(float (&s)[kScores], const std::uint32_t (&q)[kQuerySteps][4],
                                                std::uint32_t slot) {
        const std::uint64_t k = tileDescriptor(m_base + slot * Layout::kTileBytes, 0);
#pragma unroll
        for (int step = 0; step < kQuerySteps; ++step) {
            const std::uint64_t offset = (step / 4 * Layout::kColumnBlockBytes + step % 4 * 32) >> 4;
            if (step == 0)
                multiplyRegisters<false, false>(s, q[step], k + offset);
            else
                multiplyRegisters<true, false>(s, q[step], k + offset);
        }
    }

    __device__ __forceinline__ void
    issueOutput(float (&o)[kOutputs], const std::uint32_t (&p)[kValueSteps][4], std::uint32_t slot) {
        const std::uint64_t v = tileDescriptor(m_base + slot * Layout::kTileBytes, Layout::kColumnBlockBytes);
#pragma unroll
        for (int step = 0; step < kValueSteps; ++step)
            multiplyRegisters<true, true>(o, p[step], v + ((step * 16 * Layout::kRowBytes) >> 4));
    }

    __device__ __forceinline__ void mask(float (&s)[kScores], std::uint32_t info) const {
        if ((info & ~kLastStage) == kWholeStage)
            return;
        const int low = static_cast<int>(info & 0xFF), high = static_cast<int>(info >> 8 & 0xFF);
        const auto diagonal = static_cast<int>(info >> 24);
        const int limit = diagonal == 0 ? kStageRows : diagonal - kDiagonalBias + warpRow() + lane() / 4;
#pragma unroll
        for (int i = 0; i < kScores; ++i) {
            const int column = i / 4 * 8 + lane() % 4 * 2 + i % 2;
            if (column < low || column >= high || column > limit + i % 4 / 2 * 8)
                s[i] = -INFINITY;
        }
    }

    static __device__ __forceinline__ void pack(std::uint32_t (&p)[kValueSteps][4],
                                                const float (&s)[kScores]) {
#pragma unroll
        for (int i = 0; i < kScores; i += 2)
            p[i / 8][i % 8 / 2] = packBf16(s[i], s[i + 1]);
    }

    static __device__ __forceinline__ void clear(float (&o)[kOutputs]) {
#pragma unroll
        for (int i = 0; i < kOutputs; ++i)
            o[i] = 0.0F;
    }

    static __device__ __forceinline__ void scaleRows(float (&o)[kOutputs], const float (&factor)[2]) {
#pragma unroll
        for (int i = 0; i < kOutputs; ++i)
            o[i] *= factor[i % 4 / 2];
    }

    /// Writes a finished tile: through its query buffer, whose rows are this warp's alone, so that memory is
    /// written in whole rows.
    __device__ __forceinline__ void finish(const float (&o)[kOutputs], const RunningSoftmax& softmax,
                                           const Ticket& tile, std::uint32_t tileSlot) {
        float sums[2];
        softmax.total(sums);
        const float inverse[2] = {1.0F / sums[0], 1.0F / sums[1]};
        const std::uint32_t rows = m_base + Layout::kQueries + tileSlot * Layout::kTileBytes +
                                   static_cast<std::uint32_t>(warpRow()) * Layout::kRowBytes;
        const auto place = [rows](std::uint32_t row, std::uint32_t chunk) {
            return rows + chunk / 8 * Layout::kColumnBlockBytes + row * Layout::kRowBytes +
                   ((chunk % 8) ^ (row % 8)) * 16;
        };
        const auto mine = static_cast<std::uint32_t>(lane());
#pragma unroll
        for (int i = 0; i < kOutputs; i += 8) {
            const std::uint32_t m[4] = {packBf16(o[i] * inverse[0], o[i + 1] * inverse[0]),
                                        packBf16(o[i + 2] * inverse[1], o[i + 3] * inverse[1]),
                                        packBf16(o[i + 4] * inverse[0], o[i + 5] * inverse[0]),
                                        packBf16(o[i + 6] * inverse[1], o[i + 7] * inverse[1])};
            storeMatrices(place(mine % 16, static_cast<std::uint32_t>(i / 4) + mine / 16), m);
        }
        __syncwarp();

        const TensorStrides& strides = m_args.outStrides;
        const std::int32_t firstRow = tile.queries.begin + warpRow();
        auto* out =
            static_cast<std::uint16_t*>(m_args.out) + tile.batch * strides.batch + tile.head * strides.head;
        constexpr std::uint32_t kChunks = D / 8, kRowsAtOnce = 32 / kChunks;
#pragma unroll
        for (std::uint32_t row = 0; row < 16; row += kRowsAtOnce) {
            const std::uint32_t r = row + mine / kChunks, chunk = mine % kChunks;
            const uint4 value = loadShared16(place(r, chunk));
            const std::int32_t token = firstRow + static_cast<std::int32_t>(r);
            if (token < tile.queries.end)
                *reinterpret_cast<uint4*>(out + token * strides.token + chunk * 8) = value;
        }
        if (m_args.logSumExp && lane() % 4 == 0) {
            constexpr float kLn2 = 0.693147180559945309F;
            float* sumsOut =
                m_args.logSumExp + (std::int64_t{tile.batch} * m_args.heads + tile.head) * m_args.queryTokens;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const std::int32_t token = firstRow + lane() / 4 + half * 8;
                if (token < tile.queries.end)
                    sumsOut[token] = (softmax.reference[half] + log2f(sums[half])) * kLn2;
            }
        }
        fenceAsyncProxy();
        __syncwarp();
        if (lane() == 0)
            arrive(sharedAddress(&m_control.ticketEmpty[tileSlot]));
    }

    const KernelArgs& m_args;
    std::uint32_t m_base;
    typename Layout::Control& m_control;
    int m_group;
    RingPlace<Layout::kSlots> m_slot;
    RingPlace<kTickets> m_ticket;
};

} // namespace canopy::accel::cuda::hopper
