#include "accel/pipelines/loaded_qa_model.h"

#include <utility>

#include "accel/runtime/job_error.h"
#include "accel/weights/weight_reader.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

LoadedQaModel::LoadedQaModel(QaModelRecord record, at::Device device, at::ScalarType dtype)
    : m_record(std::move(record))
    , m_device(device)
    , m_dtype(dtype) {
    if (!m_record.missing.empty())
        throw JobError(ErrorCode::NotFound, m_record.missing.front());
}

bool LoadedQaModel::serves(const QaModelRecord& record, at::Device device, at::ScalarType dtype) const {
    return record.id == m_record.id && record.root == m_record.root && device == m_device && dtype == m_dtype;
}

const BpeTokenizer& LoadedQaModel::tokenizer() {
    if (!m_tokenizer)
        m_tokenizer.emplace(orThrow(BpeTokenizer::open(m_record.tokenizerFile, m_record.mergesFile)));
    return *m_tokenizer;
}

const Llava& LoadedQaModel::model(const std::stop_token& stop) {
    if (!m_model) {
        const Checkpoint checkpoint = orThrow(Checkpoint::open(m_record.weightFiles));
        WeightReader reader(checkpoint, WeightReader::Part::VideoQa, m_device, m_dtype, stop);
        auto model = std::make_unique<Llava>(m_record, reader);
        orThrow(reader.finish());
        m_model = std::move(model);
    }
    return *m_model;
}

} // namespace canopy::accel
