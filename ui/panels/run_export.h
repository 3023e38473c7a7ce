#pragma once

#include <atomic>
#include <filesystem>
#include <functional>

#include <QImage>

#include "core/base/result.h"
#include "ui/tokens/token_layer.h"

/// Files of a run. Each is written whole or not at all; an existing file is replaced only by the name that
/// the person confirmed. Callable on any thread.
namespace canopy::ui {

Result<void> exportRunJson(const TokenRun& run, const std::filesystem::path& file);
Result<void> exportRunCsv(const TokenRun& run, const std::filesystem::path& file);
/// One picture of the sample `what.sample` in the picture's own pixels.
Result<void> exportOverlayPng(const QImage& picture, OverlayExport overlay,
                              const std::filesystem::path& file);
/// Every frame of the video with the overlay of the newest sampled frame at or before it. Gives the name it
/// got: a taken name becomes "name-2.mp4". `progress` is told shares of 0..1.
Result<std::filesystem::path> exportOverlayVideo(const std::filesystem::path& video, OverlayExport overlay,
                                                 const std::filesystem::path& file,
                                                 const std::atomic<bool>& stop,
                                                 const std::function<void(double)>& progress = {});

} // namespace canopy::ui
