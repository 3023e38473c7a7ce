#include "tests/bench/canopy_bench/recorded_masks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <charconv>

#include "core/formats/safetensors.h"

namespace canopy::bench {

namespace {

Error unfit(const std::filesystem::path& path, const std::string& what) {
    return makeError(ErrorCode::Mismatch, "The recorded masks " + what +
                                              ". Record them again with record_masks: " + path.string());
}

} // namespace

Result<std::vector<RecordedMask>> readMasks(const std::filesystem::path& path, std::int64_t heads) {
    const auto file = Checkpoint::open({path});
    if (!file)
        return file.error();
    const TensorInfo* bits = file->find("bits");
    const TensorInfo* steps = file->find("step");
    const TensorInfo* layers = file->find("layer");
    const auto tokensText = file->metadata().find("tokens");
    if (!bits || !steps || !layers || bits->dtype != DType::U8 || bits->shape.size() != 4 ||
        steps->dtype != DType::I32 || layers->dtype != DType::I32 || tokensText == file->metadata().end())
        return unfit(path, "lack bits, step, layer or the number of tokens");
    std::int64_t tokens = 0;
    const std::string& text = tokensText->second;
    std::from_chars(text.data(), text.data() + text.size(), tokens);
    const auto masks = static_cast<std::int64_t>(bits->shape[0]), blocks = (tokens + 127) / 128;
    if (static_cast<std::int64_t>(bits->shape[2]) != blocks ||
        static_cast<std::int64_t>(bits->shape[3]) != (blocks + 7) / 8 || masks == 0 ||
        steps->shape != std::vector<std::uint64_t>{bits->shape[0]} || layers->shape != steps->shape)
        return unfit(path, "do not have the shape of " + text + " tokens");

    const auto read = [&](const char* name, at::Tensor tensor) -> Result<at::Tensor> {
        const auto done =
            file->read(name, {static_cast<std::uint8_t*>(tensor.mutable_data_ptr()), tensor.nbytes()});
        return done ? Result<at::Tensor>(tensor) : Result<at::Tensor>(done.error());
    };
    const auto packed =
        read("bits", at::empty({masks, static_cast<std::int64_t>(bits->shape[1]), blocks, (blocks + 7) / 8},
                               at::kByte));
    const auto step = read("step", at::empty({masks}, at::kInt)),
               layer = read("layer", at::empty({masks}, at::kInt));
    for (const auto* part : {&packed, &step, &layer})
        if (!*part)
            return part->error();

    const at::Tensor weights = at::arange(8, at::kByte); // bit numbers
    const at::Tensor chosen =
        packed->unsqueeze(4).bitwise_right_shift(weights).bitwise_and(1).to(at::kBool).flatten(3).slice(
            3, 0, blocks); // [masks, heads, blocks, blocks]
    const at::Tensor order = at::arange(heads, at::kLong).remainder(chosen.size(1));
    std::vector<RecordedMask> out;
    for (std::int64_t i = 0; i < masks; ++i) {
        RecordedMask mask;
        mask.what.name = "recorded, step " + std::to_string(step->const_data_ptr<std::int32_t>()[i]) +
                         ", layer " + std::to_string(layer->const_data_ptr<std::int32_t>()[i]);
        mask.what.heads = heads;
        mask.what.tokens = tokens;
        mask.chosen = chosen[i].index_select(0, order).contiguous();
        out.push_back(std::move(mask));
    }
    return out;
}

AttentionProblem makeProblem(const RecordedMask& mask, const at::Device& device, std::uint64_t seed) {
    AttentionProblem problem = makeProblem(mask.what, device, seed);
    chooseBlocks(problem, mask.what, mask.chosen);
    return problem;
}

} // namespace canopy::bench
