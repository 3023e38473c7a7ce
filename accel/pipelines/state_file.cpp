#include "accel/pipelines/state_file.h"

#include <ATen/ops/empty.h>

#include <string>
#include <utility>

#include "accel/runtime/job_error.h"
#include "accel/weights/scalar_type.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

std::uint64_t bytesOf(const StateParts& parts) {
    std::uint64_t sum = 0;
    for (const auto& [name, tensor] : parts.tensors)
        sum += tensor.nbytes();
    return sum;
}

std::vector<std::uint8_t> writeState(const StateParts& parts, const SamplingPoint& point,
                                     const GenerationRequest& request) {
    std::vector<at::Tensor> held; // until the bytes are copied
    std::vector<TensorBytes> tensors;
    for (const auto& [name, tensor] : parts.tensors) {
        const auto& host = held.emplace_back(tensor.to(at::kCPU).contiguous());
        TensorBytes one{name, dtypeOf(host.scalar_type()), {}, {}};
        for (const auto n : host.sizes())
            one.shape.push_back(static_cast<std::uint64_t>(n));
        one.bytes = {static_cast<const std::uint8_t*>(host.const_data_ptr()), host.nbytes()};
        tensors.push_back(std::move(one));
    }
    return writeSafetensors(tensors, {{std::string(kStateVersionKey), std::to_string(kStateVersion)},
                                      {std::string(kStatePointKey), toJson(toValue(point))},
                                      {std::string(kStateRequestKey), stateIdentity(request)},
                                      {std::string(kStateValuesKey), toJson(parts.values)}});
}

StateParts readState(const std::filesystem::path& path, const GenerationRequest& request, at::Device device,
                     SamplingPoint* point) {
    const auto file = orThrow(SafetensorsFile::open(path));
    const auto& header = file.header();
    const SamplingPoint saved = orThrow(statePoint(header));
    if (point)
        *point = saved;
    const auto& metadata = header.metadata;
    const auto identity = metadata.find(kStateRequestKey);
    if (identity == metadata.end() || identity->second != stateIdentity(request))
        throw JobError(ErrorCode::Mismatch, "The saved state belongs to a clip with other settings; start "
                                            "this one anew. File: " +
                                                path.string());
    const auto values = metadata.find(kStateValuesKey);
    if (values == metadata.end())
        throw JobError(ErrorCode::Malformed, "The saved state is not whole. File: " + path.string());
    StateParts parts;
    parts.values = orThrow(parseJson(values->second));
    for (const auto& info : header.tensors) {
        std::vector<std::int64_t> shape(info.shape.begin(), info.shape.end());
        auto tensor = at::empty(shape, at::TensorOptions(scalarType(info.dtype)));
        orThrow(file.read(info, {static_cast<std::uint8_t*>(tensor.mutable_data_ptr()), tensor.nbytes()}));
        parts.tensors.emplace(info.name, tensor.to(device));
    }
    return parts;
}

} // namespace canopy::accel
