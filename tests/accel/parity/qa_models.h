#pragma once

#include <filesystem>
#include <memory>

#include "accel/models/llava/llava.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

/// Configurations of a case's config.json: the whole model's, or of one half alone.
SiglipConfig siglipConfig(const Value& config);
Qwen2Config qwen2Config(const Value& config);
QaModelRecord llavaRecord(const Value& config);

/// Strictly loaded float32 models; a report of differences fails the test.
std::unique_ptr<accel::SiglipTower> loadSiglip(const SiglipConfig& config, const std::filesystem::path& file);
std::unique_ptr<accel::Qwen2> loadQwen2(const Qwen2Config& config, const std::filesystem::path& file);
std::unique_ptr<accel::Llava> loadLlava(const QaModelRecord& record, const std::filesystem::path& file);

/// Greedy decoding from the logits after a prompt: ids, and the logits each was taken from.
struct Greedy {
    at::Tensor ids;    ///< int64 [count]
    at::Tensor logits; ///< [count, V]
};
Greedy decodeGreedily(const accel::Qwen2& model, at::Tensor logits, accel::KvCache& cache,
                      std::int64_t count);

} // namespace canopy::test
