#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <stop_token>

#include "accel/models/umt5/encoder.h"
#include "accel/models/wan/dit.h"
#include "accel/models/wan/vae.h"
#include "accel/pipelines/preview_map.h"
#include "core/formats/model_config.h"
#include "core/formats/unigram.h"

namespace canopy::accel {

/// The parts of one model in one precision on one device, each read when it is first needed. Throws JobError
/// with the loader's report, Cancelled between tensors. Home thread: the inference thread.
class LoadedModel {
public:
    LoadedModel(ModelRecord record, at::Device device, at::ScalarType dtype);

    /// Same weights in the same form: nothing needs to be read again.
    bool serves(const ModelRecord& record, at::Device device, at::ScalarType dtype) const;

    const UnigramTokenizer& tokenizer();
    const Umt5Encoder& textEncoder(const std::stop_token& stop);
    const WanDit& transformer(const std::stop_token& stop);
    const WanVae& vae(const std::stop_token& stop);
    const PreviewMap& previewMap(const std::stop_token& stop);

    /// Frees what later stages do not need. Small models stay whole (planMemory knows the same rule).
    void dropTextEncoder() { m_text.reset(); }
    void dropTransformer() { m_transformer.reset(); }

    const ModelRecord& record() const { return m_record; }
    at::Device device() const { return m_device; }

private:
    ModelRecord m_record;
    at::Device m_device;
    at::ScalarType m_dtype;
    std::optional<UnigramTokenizer> m_tokenizer;
    std::unique_ptr<Umt5Encoder> m_text;
    std::unique_ptr<WanDit> m_transformer;
    std::unique_ptr<WanVae> m_vae;
    std::optional<PreviewMap> m_preview;
};

} // namespace canopy::accel
