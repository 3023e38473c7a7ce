#include "accel/models/llava/llava.h"

#include <ATen/ops/gelu.h>

#include "accel/weights/weight_reader.h"

namespace canopy::accel {

Llava::Llava(const QaModelRecord& record, WeightReader& weights)
    : m_tower(record.vision, weights)
    , m_projector1(weights, "multi_modal_projector.linear_1", record.vision.width, record.language.width)
    , m_projector2(weights, "multi_modal_projector.linear_2", record.language.width, record.language.width)
    , m_language(record.language, weights) {
    m_newline = record.newlines == HostNewlines::None
                    ? weights.takeOptional("image_newline", {record.language.width})
                    : weights.take("image_newline", {record.language.width});
}

at::Tensor Llava::project(const at::Tensor& patches) const {
    return m_projector2(at::gelu(m_projector1(patches), "none"));
}

} // namespace canopy::accel
