#include "tests/accel/tokens/synthetic_video.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "accel/policies/tokens/counter_random.h"

namespace canopy::test {
namespace {

using accel::CounterRandom;

/// Sums of twelve uniform numbers: near enough to normal, and no library function whose bits differ.
at::Tensor noise(CounterRandom& random, at::IntArrayRef shape) {
    const auto out = at::empty(shape, at::TensorOptions(at::kFloat));
    float* data = out.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < out.numel(); ++i) {
        double sum = -6;
        for (int j = 0; j < 12; ++j)
            sum += random.uniform();
        data[i] = static_cast<float>(sum);
    }
    return out;
}

/// A still picture [rows, columns, D]: patches of 2 x 2 cells share most of their feature.
at::Tensor picture(CounterRandom& random, const SyntheticSize& size) {
    const auto coarse = noise(random, {(size.rows + 1) / 2, (size.columns + 1) / 2, size.width});
    const auto fine = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1);
    return fine.narrow(0, 0, size.rows).narrow(1, 0, size.columns) +
           0.5 * noise(random, {size.rows, size.columns, size.width});
}

} // namespace

const std::vector<Motion>& allMotions() {
    static const std::vector<Motion> motions = {Motion::Static, Motion::Cuts,   Motion::Drift,
                                                Motion::Pan,    Motion::Object, Motion::Random};
    return motions;
}

std::string motionName(Motion motion) {
    constexpr const char* kNames[] = {"static", "cuts", "drift", "pan", "object", "random"};
    return kNames[static_cast<std::size_t>(motion)];
}

accel::VideoTokens syntheticVideo(Motion motion, std::uint64_t seed, const SyntheticSize& size) {
    CounterRandom random(seed);
    std::vector<at::Tensor> frames;
    auto scene = picture(random, size);
    const auto object = noise(random, {size.width});
    for (int t = 0; t < size.frames; ++t) {
        if (motion == Motion::Random || (motion == Motion::Cuts && t > 0 && t % 3 == 0))
            scene = picture(random, size);
        if (motion == Motion::Drift)
            scene = scene + 0.25 * noise(random, scene.sizes());
        if (motion == Motion::Pan && t > 0)
            scene = at::cat({scene.narrow(1, 1, size.columns - 1), picture(random, size).narrow(1, 0, 1)}, 1);
        auto frame = scene.clone();
        if (motion == Motion::Object)
            frame.select(0, size.rows / 2).select(0, t % size.columns).copy_(3 * object);
        frames.push_back((frame + 0.1 * noise(random, frame.sizes())).flatten(0, 1));
    }
    const std::int64_t cells = std::int64_t{size.rows} * size.columns;
    accel::VideoTokens video;
    video.frames = size.frames;
    video.rows = size.rows;
    video.columns = size.columns;
    video.features = at::stack(frames);
    video.attention = noise(random, {size.frames, cells}).softmax(-1);
    video.keys = noise(random, {size.frames, cells, 8});
    video.pixelDifference = noise(random, {size.frames, cells}).abs() * 20;
    video.pixelDifference.select(0, 0).zero_();
    return video;
}

} // namespace canopy::test
