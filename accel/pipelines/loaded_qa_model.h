#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <stop_token>

#include "accel/models/llava/llava.h"
#include "accel/pipelines/feature_cache.h"
#include "core/formats/byte_bpe.h"
#include "core/formats/qa_model.h"

namespace canopy::accel {

/// One video question-answering model in one precision on one device, read when it is first needed, and the
/// features of the videos it has looked at. Throws JobError with the loader's report, Cancelled between
/// tensors. Home thread: the inference thread.
class LoadedQaModel {
public:
    LoadedQaModel(QaModelRecord record, at::Device device, at::ScalarType dtype);

    /// Same weights in the same form: nothing needs to be read again.
    bool serves(const QaModelRecord& record, at::Device device, at::ScalarType dtype) const;

    const BpeTokenizer& tokenizer();
    const Llava& model(const std::stop_token& stop);
    bool isLoaded() const { return m_model != nullptr; }
    FeatureCache& features() { return m_features; }

    const QaModelRecord& record() const { return m_record; }
    at::Device device() const { return m_device; }
    at::ScalarType dtype() const { return m_dtype; }

private:
    QaModelRecord m_record;
    at::Device m_device;
    at::ScalarType m_dtype;
    std::optional<BpeTokenizer> m_tokenizer;
    std::unique_ptr<Llava> m_model;
    FeatureCache m_features;
};

} // namespace canopy::accel
