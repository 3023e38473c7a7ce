#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "accel/engine/accel_engine.h"

namespace canopy::test {

/// A scripted engine: no model, no LibTorch, the same calls in the same order as the real one, and faults on
/// order.
///
///   CANOPY_FAULT=point=P,n=N,do=D[,seed=S]   at the N-th pass of a point (1 = first), in jobs of seed S only
///       P: load, text, step, block, latents, frame     D: segv, abort, hang (whole process stopped),
///       busyhang (computes for ever, deaf to stop), slow=MS, exit=C, oom, sticky, throw
///   CANOPY_FAKE_BLOCK_MS=2   time of one block         CANOPY_FAKE_BLOCKS=8   blocks per step
///   CANOPY_FAKE_PREVIEWS=1   previews per step         CANOPY_FAKE_START_MS=0 time until the engine is there
std::unique_ptr<accel::Engine> makeFakeEngine();

/// The picture that the fake engine makes as frame `index` of a clip with this seed.
std::vector<std::uint8_t> fakeFrame(std::uint64_t seed, int index, int width, int height);

/// A safetensors file with one F32 tensor "latents" whose values follow from the seed.
std::vector<std::uint8_t> fakeLatents(std::uint64_t seed, int width, int height, int frames);

} // namespace canopy::test
