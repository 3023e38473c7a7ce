#include "accel/pipelines/latents_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "accel/runtime/job_error.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

namespace {

at::Tensor readTensor(const std::filesystem::path& path, const char* name, DType dtype, at::ScalarType type,
                      at::IntArrayRef shape) {
    const auto file = orThrow(SafetensorsFile::open(path));
    for (const auto& info : file.header().tensors) {
        if (info.name != name)
            continue;
        const bool fits =
            info.dtype == dtype &&
            std::equal(info.shape.begin(), info.shape.end(), shape.begin(), shape.end(),
                       [](std::uint64_t a, std::int64_t b) { return a == static_cast<std::uint64_t>(b); });
        if (!fits)
            break;
        auto tensor = at::empty(shape, at::TensorOptions(type));
        orThrow(file.read(info, {static_cast<std::uint8_t*>(tensor.mutable_data_ptr()), tensor.nbytes()}));
        return tensor;
    }
    throw JobError(ErrorCode::Mismatch,
                   std::string("Expected a tensor \"") + name +
                       "\" of this clip's size, found none that fits. Start the job anew. " + path.string());
}

} // namespace

std::vector<std::uint8_t> writeLatents(const at::Tensor& latents, const GenerationRequest& request) {
    const auto data = latents.to(at::kCPU, at::kFloat).contiguous();
    const auto* bytes = static_cast<const std::uint8_t*>(data.const_data_ptr());
    TensorBytes tensor{"latents", DType::F32, {}, {bytes, data.nbytes()}};
    for (const auto n : data.sizes())
        tensor.shape.push_back(static_cast<std::uint64_t>(n));
    auto stored = request;
    stored.resumeLatentsPath.clear();
    stored.resumeStatePath.clear();
    stored.imagePixelsPath.clear();
    return writeSafetensors({tensor}, {{"canopy_request", toJson(toValue(stored))}});
}

at::Tensor readLatents(const std::filesystem::path& path, at::IntArrayRef shape) {
    return readTensor(path, "latents", DType::F32, at::kFloat, shape);
}

at::Tensor readImagePixels(const std::filesystem::path& path, int width, int height) {
    const auto pixels = readTensor(path, "image", DType::U8, at::kByte, {height, width, 3});
    return pixels.permute({2, 0, 1}).to(at::kFloat) / 127.5 - 1.0;
}

at::Tensor readVideoPixels(const std::filesystem::path& path, int frames, int width, int height) {
    const auto pixels = readTensor(path, "frames", DType::U8, at::kByte, {frames, height, width, 3});
    return pixels.permute({3, 0, 1, 2}).to(at::kFloat) / 127.5 - 1.0;
}

} // namespace canopy::accel
