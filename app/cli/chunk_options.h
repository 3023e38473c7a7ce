#pragma once

#include <functional>

#include "core/job/chunk_settings.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `generate` that make a clip in blocks. Written when the whole command line is parsed; those
/// that other choices make meaningless are a usage error.
/// The result is to be called when the command line is parsed: it throws the usage errors.
std::function<void()> addChunks(CLI::App& generate, ChunkSettings& settings);

} // namespace canopy::cli
