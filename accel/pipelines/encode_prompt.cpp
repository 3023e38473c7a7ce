#include "accel/pipelines/encode_prompt.h"

#include <ATen/ops/tensor.h>

#include <vector>

#include "accel/runtime/job_error.h"
#include "core/base/log.h"
#include "core/formats/prompt_clean.h"

namespace canopy::accel {

at::Tensor encodePrompt(LoadedModel& model, const std::string& prompt, const std::stop_token& stop) {
    const auto& config = model.record().text;
    const auto encoded = orThrow(model.tokenizer().encodePrompt(
        orThrow(cleanPrompt(prompt)), model.record().defaults.textLength, config.eosId, config.padId));
    if (encoded.truncated) {
        logWarning("engine", "The prompt is longer than the " +
                                 std::to_string(model.record().defaults.textLength) +
                                 " tokens this model reads; its end was left out.");
    }
    const std::vector<std::int64_t> ids(encoded.ids.begin(), encoded.ids.end());
    const std::vector<std::int64_t> mask(encoded.mask.begin(), encoded.mask.end());
    const auto options = at::TensorOptions(at::kLong);
    return model.textEncoder(stop).promptEmbeds(at::tensor(ids, options), at::tensor(mask, options), stop);
}

int fpsIndexOf(const GenerationRequest& request, const ModelDefaults& defaults) {
    return request.fps == defaults.fps ? defaults.fpsIndex : (request.fps == 16 ? 0 : 1);
}

} // namespace canopy::accel
