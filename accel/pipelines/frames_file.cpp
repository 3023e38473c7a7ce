#include "accel/pipelines/frames_file.h"

#include <ATen/ops/empty.h>
#include <xxhash.h>

#include "accel/runtime/job_error.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

at::Tensor readFrames(const std::string& path, int size) {
    const auto file = orThrow(SafetensorsFile::open(path));
    for (const auto& info : file.header().tensors) {
        if (info.name != "frames")
            continue;
        const auto side = static_cast<std::uint64_t>(size);
        if (info.dtype != DType::U8 || info.shape.size() != 4 || info.shape[0] == 0 ||
            info.shape[1] != side || info.shape[2] != side || info.shape[3] != 3) {
            std::string shape;
            for (const auto n : info.shape)
                shape += (shape.empty() ? "" : ", ") + std::to_string(n);
            throw JobError(ErrorCode::Mismatch, "The frames are " + std::string(dtypeName(info.dtype)) +
                                                    " [" + shape + "]; this model reads U8 [T, " +
                                                    std::to_string(size) + ", " + std::to_string(size) +
                                                    ", 3]. Sample the video again. File: " + path);
        }
        std::vector<std::int64_t> shape(info.shape.begin(), info.shape.end());
        auto frames = at::empty(shape, at::TensorOptions(at::kByte));
        orThrow(file.read(info, {frames.mutable_data_ptr<std::uint8_t>(), frames.nbytes()}));
        return frames;
    }
    throw JobError(ErrorCode::Malformed, "There is no tensor \"frames\" in the frames file; sample the video "
                                         "again. File: " +
                                             path);
}

std::uint64_t contentHash(const at::Tensor& tensor) {
    return XXH64(tensor.const_data_ptr(), tensor.nbytes(), 0);
}

} // namespace canopy::accel
