#pragma once

#include <vector>

#include "accel/nn/kv_pool.h"
#include "core/job/chunk_record.h"

namespace canopy::accel {

/// Key memory as it is now.
KvUse kvUse(const KvPool& pool, bool onDevice);

/// What is left in the pool of each latent frame of chunks first .. last: shares over layers, branches and
/// heads, and a map per frame of frameTokens tokens. Frames of which nothing is left are listed with 0.
std::vector<KeptFrame> keptFrames(const KvPool& pool, int layers, int branches, int firstChunk, int lastChunk,
                                  int chunkFrames, int frameTokens);

} // namespace canopy::accel
