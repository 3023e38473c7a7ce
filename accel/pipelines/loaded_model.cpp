#include "accel/pipelines/loaded_model.h"

#include <utility>

#include "accel/runtime/job_error.h"
#include "accel/weights/weight_reader.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

namespace {

/// Builds a model part from its files, strictly.
template <typename Model, typename Config>
std::unique_ptr<Model> load(const Config& config, const std::vector<std::filesystem::path>& files,
                            WeightReader::Part part, const char* name, at::Device device,
                            at::ScalarType dtype, const std::stop_token& stop) {
    const Checkpoint checkpoint = orThrow(Checkpoint::open(files));
    WeightReader reader(checkpoint, part, device, dtype, stop);
    auto model = std::make_unique<Model>(config, reader);
    if (const auto fits = reader.finish(); !fits)
        throw JobError(fits.error().code, std::string(name) + ": " + fits.error().message);
    return model;
}

} // namespace

LoadedModel::LoadedModel(ModelRecord record, at::Device device, at::ScalarType dtype)
    : m_record(std::move(record))
    , m_device(device)
    , m_dtype(dtype) {
    if (!m_record.missing.empty())
        throw JobError(ErrorCode::NotFound, m_record.missing.front());
}

bool LoadedModel::serves(const ModelRecord& record, at::Device device, at::ScalarType dtype) const {
    return record.id == m_record.id && record.root == m_record.root && device == m_device && dtype == m_dtype;
}

const UnigramTokenizer& LoadedModel::tokenizer() {
    if (!m_tokenizer)
        m_tokenizer.emplace(orThrow(UnigramTokenizer::open(m_record.tokenizerFile)));
    return *m_tokenizer;
}

const Umt5Encoder& LoadedModel::textEncoder(const std::stop_token& stop) {
    if (!m_text) {
        m_text = load<Umt5Encoder>(m_record.text, m_record.textEncoderFiles, WeightReader::Part::TextEncoder,
                                   "Text encoder", m_device, m_dtype, stop);
    }
    return *m_text;
}

const WanDit& LoadedModel::transformer(const std::stop_token& stop) {
    if (!m_transformer) {
        m_transformer = load<WanDit>(m_record.dit, m_record.transformerFiles, WeightReader::Part::Transformer,
                                     "Transformer", m_device, m_dtype, stop);
    }
    return *m_transformer;
}

const WanVae& LoadedModel::vae(const std::stop_token& stop) {
    if (!m_vae) {
        m_vae = load<WanVae>(m_record.vae, m_record.vaeFiles, WeightReader::Part::Vae, "Autoencoder",
                             m_device, m_dtype, stop);
    }
    return *m_vae;
}

const PreviewMap& LoadedModel::previewMap(const std::stop_token& stop) {
    if (!m_preview)
        m_preview = PreviewMap::fit(vae(stop), stop);
    return *m_preview;
}

} // namespace canopy::accel
