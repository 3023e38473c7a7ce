#pragma once

#include <string>
#include <string_view>

#include "accel/weights/weight_reader.h"

namespace canopy::accel {

/// The canonical name (diffusers' for transformer and autoencoder, transformers' for UMT5, its files' for
/// video question answering) of a tensor in any public layout; a name that is canonical already, or unknown,
/// comes back unchanged. Prefixes that single-file exports put before everything ("model.diffusion_model.",
/// "vae.") are dropped. Layouts: flow-cache.md 6.3.
std::string canonicalName(WeightReader::Part part, std::string_view name);

/// True for tensors that public files carry beside the weights and no model reads (embedded tokenizers,
/// markers).
bool isCompanion(WeightReader::Part part, std::string_view canonical);

} // namespace canopy::accel
