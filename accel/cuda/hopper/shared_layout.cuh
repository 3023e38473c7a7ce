#pragma once

#include <cstdint>

#include "accel/cuda/hopper/kernel_args.cuh"
#include "accel/cuda/hopper/sm90.cuh"
#include "accel/cuda/key_walk.cuh"

// Shared memory of the attention kernel, one block per multiprocessor:
//
//   ring    kSlots x [kStageRows, D]  keys and values in the order in which they are used: K0 K1 V0 K2 V1 ...
//   queries 2 x [kQueryTile, D]       of the tile at work and the next; a finished tile's output passes
//   through it tickets 2 x Ticket, barriers
//
// Tiles are stored as D / 64 blocks of 64 columns, each with rows of 128 bytes swizzled in atoms of 8 rows.
namespace canopy::accel::cuda::hopper {

constexpr int kConsumerWarps = 8;
constexpr int kTickets = 2;

/// One (batch, head, tile) as the producer hands it to the consumers.
struct Ticket {
    std::int32_t batch, head; ///< batch is kNoTile once all tiles are done
    TokenSpan queries;
};
constexpr std::int32_t kNoTile = -1;

template <int D>
struct SharedLayout {
    static constexpr int kSlots = D == 128 ? 5 : 8;
    static constexpr std::uint32_t kRowBytes = 128;
    static constexpr std::uint32_t kColumnBlockBytes = kStageRows * kRowBytes;
    static constexpr std::uint32_t kTileBytes = kColumnBlockBytes * (D / kBoxColumns);

    static constexpr std::uint32_t kQueries = kSlots * kTileBytes;
    static constexpr std::uint32_t kControl = kQueries + kTickets * kTileBytes;

    struct Control {
        std::uint64_t slotFull[kSlots], slotEmpty[kSlots];
        std::uint64_t ticketFull[kTickets], ticketEmpty[kTickets];
        std::uint32_t stageInfo[kSlots]; ///< packStage() of the keys in a slot
        Ticket tickets[kTickets];
    };

    /// 1024: swizzled tiles start at a multiple of it, and the block's memory need not.
    static constexpr std::uint32_t kBytes = kControl + sizeof(Control) + 1024;
};

constexpr std::uint32_t kWholeStage = static_cast<std::uint32_t>(kStageRows) << 8;
constexpr std::uint32_t kLastStage = 1U << 16;
constexpr std::int32_t kDiagonalBias =
    128; // a visible stage starts at most kQueryTile - 1 behind the diagonal

/// A KeyStage in one word, all but its rows: low, high, last, and in the highest byte diagonal +
/// kDiagonalBias, or 0 where every row sees every column.
__device__ __forceinline__ std::uint32_t packStage(const KeyStage& stage) {
    const std::uint32_t diagonal =
        stage.diagonal >= kStageRows - 1 ? 0U : static_cast<std::uint32_t>(stage.diagonal + kDiagonalBias);
    return static_cast<std::uint32_t>(stage.low) | static_cast<std::uint32_t>(stage.high) << 8 |
           (stage.last ? kLastStage : 0U) | diagonal << 24;
}

/// Place in a ring of `Count`, with the parity of its barriers.
template <int Count>
struct RingPlace {
    std::uint32_t slot = 0;
    std::uint32_t parity = 0;
    __device__ __forceinline__ void advance() {
        if (++slot == Count) {
            slot = 0;
            parity ^= 1;
        }
    }
};

} // namespace canopy::accel::cuda::hopper
