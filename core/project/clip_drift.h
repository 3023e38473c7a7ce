#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace canopy {

/// What of a frame is compared over a clip: its mean colour, its sharpness and where light and dark lie.
struct FrameLook {
    static constexpr int kColumns = 32;
    static constexpr int kRows = 18;

    std::array<double, 3> lab{}; ///< mean colour in CIELAB (D65): L 0 .. 100, a, b
    double sharpness = 0;        ///< mean absolute Laplacian of the luma, 0 .. 255 units a pixel
    std::vector<float> light;    ///< [kRows * kColumns] mean luma of each cell, 0 .. 255
};

/// rgb: width x height packed 8-bit sRGB. An empty look where the sizes do not fit.
FrameLook lookOf(std::span<const std::uint8_t> rgb, int width, int height);

/// How far frames have moved away from a clip's first chunk. Long clips lose colour and sharpness bit by bit.
struct Drift {
    double colour = 0;     ///< CIELAB distance of the mean colours; above about 2 it can be seen
    double sharpness = 1;  ///< share of the first chunk's
    double similarity = 1; ///< correlation of where light and dark lie, -1 .. 1
};

/// Of every chunk, each the mean of its frames; chunks without frames are left out at the end. `firstFrames`:
/// where chunks begin, ascending from 0. Pure.
std::vector<Drift> chunkDrift(std::span<const FrameLook> frames, std::span<const int> firstFrames);
/// Of every frame against the mean of the first chunk, which has `firstChunk` frames.
std::vector<Drift> frameDrift(std::span<const FrameLook> frames, int firstChunk);

} // namespace canopy
