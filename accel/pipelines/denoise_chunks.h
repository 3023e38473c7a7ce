#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "accel/models/wan/dit.h"
#include "accel/nn/kv_pool.h"
#include "accel/pipelines/denoise.h"
#include "accel/policies/cache/kv_compression.h"
#include "accel/policies/row_policy.h"
#include "accel/samplers/chunk_plan.h"
#include "core/job/chunk_record.h"
#include "core/job/chunk_settings.h"

namespace canopy::accel {

/// Block-causal sampling of one segment as data. A chunk attends to itself and earlier ones; it enters the
/// transformer alone, writes its keys and values into the pool and reads those before it, so finished chunks
/// and chunks that have not begun never run. Chunks count from the segment's start, as RoPE's time does.
struct ChunkSampling {
    Sampler sampler = Sampler::UniPc;
    FlowSchedule schedule;
    ChunkPlan plan;
    int chunkFrames = 0;               ///< latent frames of a chunk
    bool remembersFirstResult = false; ///< see rememberFirstResult() in samplers/solver.h
    ReusedQuantity quantity = ReusedQuantity::Velocity;
    FinalizeKv finalize = FinalizeKv::Clean;
    int capacityChunks = 0; ///< keys that fit into memory, in chunks; 0 = all. At least the most chunks in
                            ///< flight + 1, unless all fit.
    bool kvWindow = false;  ///< the oldest chunk is forgotten rather than finished ones squeezed
    KvCompressionSettings compression;
    int heldFrames = 0;   ///< of the chunk after the prefix: given, never changed
    double givenTime = 0; ///< timestep (0 .. 1000) that prefix and held frames are noised to
};

/// Most chunks that are in flight in one row.
int chunksInFlight(const ChunkPlan& plan);

/// One chunk's own part of the state.
struct ChunkProgress {
    SolverState solver;
    at::Tensor update; ///< last velocity or increment [C, chunkFrames, h, w]; undefined before the first
    std::array<at::Tensor, kBranches> residual; ///< [L, C] per branch, where that is what is reused
    int keysRow = -1;                           ///< row in which its keys were last written
    bool keysFinal = false;                     ///< finished, and what finalize asks is done
    bool keysLost = false; ///< finished, and its keys must be written again: chunk_state.h
    int computed = 0;
    int reused = 0;
};

/// Everything that changes while sampling. A row changes it when it ends; what lies between rows (clean
/// passes, squeezing) is done whole or again. A cancelled or paused call is repeated with the same state.
struct ChunkedState {
    at::Tensor latents; ///< [C, F, h, w] float32
    at::Tensor given;   ///< noise for prefix and held frames, as latents; undefined where givenTime is 0
    int row = 0;        ///< next row
    std::vector<ChunkProgress> chunks;
    std::unique_ptr<KvPool> keys;
    /// Queries of the last computed chunk that a compression looks at, per branch x layer; undefined where
    /// memory holds all chunks.
    std::vector<at::Tensor> queries;
};

/// `latents` hold the given frames, clean, and noise. Allocates the pool, for one branch or two.
ChunkedState startChunks(const WanDit& dit, const ChunkSampling& sampling, bool guided, at::Tensor latents,
                         at::Tensor givenNoise = {});

struct ChunkEvents {
    DenoiseEvents steps; ///< blocks, seconds, previews, pace
    /// New entries of the record after each row, without the run; segment numbers are 0. Empty: none is made.
    std::function<void(ChunkRecord part)> record;
    /// After each row, when the state is whole: to save it.
    std::function<void()> rowEnded;
};

/// Runs rows until the last, or throws Cancelled. `policy` may be null: everything is computed. `attention`
/// may be null: dense.
void denoiseChunks(const WanDit& dit, const Conditioning& conditioning, const ChunkSampling& sampling,
                   ChunkedState& state, RowPolicy* policy, AttentionPolicy* attention,
                   const ChunkEvents& events, const std::stop_token& stop);

} // namespace canopy::accel
