#pragma once

#include <ATen/core/Tensor.h>

#include "accel/models/qwen2/qwen2.h"
#include "accel/models/siglip/siglip_tower.h"
#include "accel/nn/linear.h"
#include "core/formats/qa_model.h"

namespace canopy::accel {

class WeightReader;

/// LLaVA-OneVision and LLaVA-Video: SigLIP tower, two-layer projector, newline vector, Qwen2.
/// token-forest.md 1. Owns weights only. Home thread: the inference thread.
class Llava {
public:
    Llava(const QaModelRecord& record, WeightReader& weights);

    const SiglipTower& tower() const { return m_tower; }
    const Qwen2& language() const { return m_language; }
    /// Patch features into the language model's width: Linear, exact GELU, Linear. [..., W] to [..., D].
    at::Tensor project(const at::Tensor& patches) const;
    const at::Tensor& newline() const { return m_newline; } ///< [D]; undefined on hosts without newlines

private:
    SiglipTower m_tower;
    Linear m_projector1, m_projector2;
    at::Tensor m_newline;
    Qwen2 m_language;
};

} // namespace canopy::accel
