#pragma once

#include <cstdint>

#include "accel/cuda/hopper/shared_layout.cuh"
#include "accel/cuda/key_walk.cuh"

namespace canopy::accel::cuda::hopper {

/// Body of the one warp that takes tickets and keeps the rings filled.
template <int D>
class Producer {
    using Layout = SharedLayout<D>;

public:
    __device__ Producer(const KernelArgs& args, std::uint32_t base, typename Layout::Control& control)
        : m_args(args)
        , m_base(base)
        , m_control(control)
        , m_leads(threadIdx.x % 32 == 0) {}

    __device__ void run() {
        bool hasValues = false; // of the stage whose keys were loaded last
        KeyStage previous;
        std::int32_t previousHead = 0, previousBatch = 0;
        std::int32_t ticket = take();
        for (;;) {
            waitBarrier(sharedAddress(&m_control.ticketEmpty[m_ticket.slot]), m_ticket.parity ^ 1);
            if (ticket >= m_args.items)
                break;
            TileIndex at =
                tileIndex(m_args.order ? m_args.order[ticket] : ticket, m_args.heads, m_args.tileCount);
            if (m_args.keys.kind == KeyListKind::Causal) // the longest first
                at.tile = m_args.tileCount - 1 - at.tile;
            ticket = take();
            const TokenSpan queries = queriesOf(at.tile);
            KeyWalk walk(m_args.keys, m_args.queryTokens, m_args.keyTokens, at, queries);
            if (walk.empty()) {
                writeNothing(at, queries);
                continue;
            }
            handOut(at, queries);
            const std::int32_t keyHead = at.head / m_args.headsPerKeyHead;
            for (bool last = false; !last;) {
                const KeyStage stage = walk.next();
                last = stage.last;
                loadStage(m_args.k, stage, keyHead, at.batch);
                if (hasValues)
                    loadStage(m_args.v, previous, previousHead, previousBatch);
                hasValues = true;
                previous = stage;
                previousHead = keyHead;
                previousBatch = at.batch;
            }
        }
        if (hasValues)
            loadStage(m_args.v, previous, previousHead, previousBatch);
        if (m_leads) {
            m_control.tickets[m_ticket.slot].batch = kNoTile;
            arrive(sharedAddress(&m_control.ticketFull[m_ticket.slot]));
        }
    }

private:
    __device__ std::int32_t take() {
        const std::int32_t mine = m_leads ? atomicAdd(m_args.ticket, 1) : 0;
        return __shfl_sync(0xFFFFFFFFU, mine, 0);
    }

    __device__ TokenSpan queriesOf(std::int32_t tile) const {
        const std::int32_t begin = tile * kQueryTile;
        return m_args.tiles ? m_args.tiles[tile]
                            : TokenSpan{begin, min(begin + kQueryTile, m_args.queryTokens)};
    }

    /// A tile that sees no key never reaches the consumers.
    __device__ void writeNothing(const TileIndex& at, const TokenSpan& queries) {
        const std::int32_t lane = static_cast<std::int32_t>(threadIdx.x % 32);
        const TensorStrides& strides = m_args.outStrides;
        constexpr std::int32_t kChunks = D / 8; // of 16 bytes in a row
        auto* out =
            static_cast<std::uint16_t*>(m_args.out) + at.batch * strides.batch + at.head * strides.head;
        const std::int32_t chunks = (queries.end - queries.begin) * kChunks;
        for (std::int32_t i = lane; i < chunks; i += 32) {
            const std::int64_t row = queries.begin + i / kChunks;
            *reinterpret_cast<uint4*>(out + row * strides.token + i % kChunks * 8) = uint4{};
        }
        if (m_args.logSumExp) {
            float* sums =
                m_args.logSumExp + (std::int64_t{at.batch} * m_args.heads + at.head) * m_args.queryTokens;
            for (std::int32_t row = queries.begin + lane; row < queries.end; row += 32)
                sums[row] = -INFINITY;
        }
    }

    __device__ void handOut(const TileIndex& at, const TokenSpan& queries) {
        if (m_leads) {
            m_control.tickets[m_ticket.slot] = {at.batch, at.head, queries};
            const std::uint32_t full = sharedAddress(&m_control.ticketFull[m_ticket.slot]);
            arriveExpecting(full, Layout::kTileBytes);
            loadTile(m_base + Layout::kQueries + m_ticket.slot * Layout::kTileBytes, m_args.q, full,
                     queries.begin, queries.begin + kBoxRows, at.head, at.batch);
        }
        __syncwarp();
        m_ticket.advance();
    }

    __device__ void loadStage(const CUtensorMap& map, const KeyStage& stage, std::int32_t head,
                              std::int32_t batch) {
        waitBarrier(sharedAddress(&m_control.slotEmpty[m_slot.slot]), m_slot.parity ^ 1);
        if (m_leads) {
            m_control.stageInfo[m_slot.slot] = packStage(stage);
            const std::uint32_t full = sharedAddress(&m_control.slotFull[m_slot.slot]);
            arriveExpecting(full, Layout::kTileBytes);
            loadTile(m_base + m_slot.slot * Layout::kTileBytes, map, full, stage.firstRow, stage.secondRow,
                     head, batch);
        }
        __syncwarp();
        m_slot.advance();
    }

    __device__ void loadTile(std::uint32_t destination, const CUtensorMap& map, std::uint32_t barrier,
                             std::int32_t firstRow, std::int32_t secondRow, std::int32_t head,
                             std::int32_t batch) {
        constexpr std::uint32_t kBoxBytes = kBoxRows * Layout::kRowBytes;
#pragma unroll
        for (int block = 0; block < D / kBoxColumns; ++block) {
            const std::uint32_t at =
                destination + static_cast<std::uint32_t>(block) * Layout::kColumnBlockBytes;
            loadBox(at, map, barrier, block * kBoxColumns, firstRow, head, batch);
            loadBox(at + kBoxBytes, map, barrier, block * kBoxColumns, secondRow, head, batch);
        }
    }

    const KernelArgs& m_args;
    std::uint32_t m_base;
    typename Layout::Control& m_control;
    bool m_leads;
    RingPlace<Layout::kSlots> m_slot;
    RingPlace<kTickets> m_ticket;
};

} // namespace canopy::accel::cuda::hopper
