#include "ui/panels/run_export.h"

#include <cmath>

#include <QBuffer>
#include <QPainter>

#include "core/base/files.h"
#include "core/media/video_reader.h"
#include "core/media/video_writer.h"

namespace canopy::ui {
namespace {

void pointInto(OverlayExport& overlay) {
    overlay.what.other = overlay.other.empty() ? nullptr : &overlay.other;
    overlay.what.cosine = overlay.cosine.empty() ? nullptr : &overlay.cosine;
    overlay.what.cursor = -1;
}

void paintOn(QImage& picture, const OverlayExport& overlay, const TokenPaint& what) {
    QPainter painter(&picture);
    paintTokens(painter, QRectF(picture.rect()), overlay.scene, what, overlay.theme);
}

} // namespace

Result<void> exportRunJson(const TokenRun& run, const std::filesystem::path& file) {
    return writeFileAtomically(file, tokenRunJson(run));
}

Result<void> exportRunCsv(const TokenRun& run, const std::filesystem::path& file) {
    return writeFileAtomically(file, tokenRunCsv(run));
}

Result<void> exportOverlayPng(const QImage& picture, OverlayExport overlay,
                              const std::filesystem::path& file) {
    if (picture.isNull())
        return makeError(ErrorCode::InvalidArgument,
                         "There is no picture to export yet. Wait until the first frame is shown.");
    pointInto(overlay);
    QImage image = picture.convertToFormat(QImage::Format_RGB32);
    image.setDevicePixelRatio(1);
    paintOn(image, overlay, overlay.what);
    QBuffer buffer;
    buffer.open(QIODevice::WriteOnly);
    if (!image.save(&buffer, "PNG"))
        return makeError(ErrorCode::Internal, "The picture could not be encoded as PNG.");
    return writeFileAtomically(
        file, std::string_view(buffer.data().constData(), std::size_t(buffer.data().size())));
}

Result<std::filesystem::path> exportOverlayVideo(const std::filesystem::path& video, OverlayExport overlay,
                                                 const std::filesystem::path& file,
                                                 const std::atomic<bool>& stop,
                                                 const std::function<void(double)>& progress) {
    pointInto(overlay);
    auto reader = media::VideoReader::open(video);
    if (!reader)
        return reader.error();
    const auto& info = (*reader)->info();
    media::VideoWriterOptions options;
    options.file = file;
    // H.264 wants even sizes; one row or column of pixels more is repeated by the scaling below.
    options.width = info.width + info.width % 2;
    options.height = info.height + info.height % 2;
    options.fps = std::max(1, int(std::lround(double(info.fpsNumerator) / std::max(1, info.fpsDenominator))));
    options.frames = info.frames;
    options.threads = 1; // the machine belongs to the worker
    auto writer = media::VideoWriter::create(options);
    if (!writer)
        return writer.error();
    for (int index = 0; index < info.frames; ++index) {
        if (stop) {
            (*writer)->discard();
            return makeError(ErrorCode::Cancelled, "The export was stopped.");
        }
        auto frame = (*reader)->frame(index);
        if (!frame) {
            (*writer)->discard();
            return frame.error();
        }
        QImage image = QImage(frame->rgb.data(), frame->width, frame->height, qsizetype(frame->width) * 3,
                              QImage::Format_RGB888)
                           .scaled(options.width, options.height, Qt::IgnoreAspectRatio)
                           .convertToFormat(QImage::Format_RGB32);
        TokenPaint what = overlay.what;
        what.sample =
            overlay.scene.sampleAt(double((*reader)->ptsNanos(index) - (*reader)->ptsNanos(0)) * 1e-9);
        paintOn(image, overlay, what);
        image = image.convertToFormat(QImage::Format_RGB888);
        media::Frame out{options.width, options.height, 0, {}};
        out.rgb.reserve(out.byteCount());
        for (int y = 0; y < image.height(); ++y)
            out.rgb.insert(out.rgb.end(), image.constScanLine(y),
                           image.constScanLine(y) + std::ptrdiff_t(image.width()) * 3);
        if (auto written = (*writer)->write(out); !written) {
            (*writer)->discard();
            return written.error();
        }
        if (progress)
            progress(double(index + 1) / info.frames);
    }
    return (*writer)->finish();
}

} // namespace canopy::ui
