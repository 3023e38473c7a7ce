#include "core/media/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

extern "C" {
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
}

#include "core/media/av_ptr.h"
#include "core/media/input.h"
#include "core/media/video_reader.h"

namespace canopy::media {
namespace {

constexpr double kDecodeSeconds = 600;

/// Decoded pictures as they are stored, in order.
class PlaneDecoder {
public:
    static Result<std::unique_ptr<PlaneDecoder>> open(const std::filesystem::path& file) {
        auto input = Input::open(file, kDecodeSeconds);
        if (!input)
            return input.error();
        std::unique_ptr<PlaneDecoder> d(new PlaneDecoder);
        d->m_input = std::move(*input);
        const ReaderLimits limits;
        const auto stream = d->m_input->selectVideo(limits.maxWidth, limits.maxHeight);
        if (!stream)
            return stream.error();
        d->m_stream = *stream;
        auto decoder = d->m_input->openDecoder(*stream, std::int64_t{limits.maxWidth} * limits.maxHeight, 2);
        if (!decoder)
            return decoder.error();
        d->m_decoder = std::move(*decoder);
        return d;
    }

    /// Null at the end.
    FramePtr next() {
        FramePtr frame(av_frame_alloc());
        for (;;) {
            const int code = avcodec_receive_frame(m_decoder.get(), frame.get());
            if (code == 0)
                return frame;
            if (code == AVERROR_EOF || m_input->isLate())
                return nullptr;
            if (av_read_frame(m_input->context(), m_packet.get()) < 0) {
                avcodec_send_packet(m_decoder.get(), nullptr);
                continue;
            }
            if (m_packet->stream_index == m_stream)
                avcodec_send_packet(m_decoder.get(), m_packet.get());
            av_packet_unref(m_packet.get());
        }
    }
    const AVCodecParameters* parameters() const { return m_input->context()->streams[m_stream]->codecpar; }

private:
    std::unique_ptr<Input> m_input;
    CodecContextPtr m_decoder;
    PacketPtr m_packet{av_packet_alloc()};
    int m_stream = -1;
};

Error noFilter(int code) {
    return avError(ErrorCode::Internal, "FFmpeg's psnr and ssim filters could not be set up", code,
                   "install Debian's libavfilter.");
}

double number(const AVDictionary* metadata, const std::string& key) {
    const AVDictionaryEntry* entry = av_dict_get(metadata, key.c_str(), nullptr, 0);
    return entry ? std::strtod(entry->value, nullptr) : 0;
}

/// Letters of the planes that FFmpeg's filters use as keys: "YUV", "RGB" or "Y".
std::string planeLetters(const AVPixFmtDescriptor* format) {
    if (format->nb_components < 3)
        return "Y";
    return (format->flags & AV_PIX_FMT_FLAG_RGB) != 0 ? "RGB" : "YUV";
}

} // namespace

Result<FileComparison> compareFiles(const std::filesystem::path& fileA, const std::filesystem::path& fileB,
                                    const CompareOptions& options) {
    VideoInfo infos[2];
    const std::filesystem::path* files[2] = {&fileA, &fileB};
    for (int i = 0; i < 2; ++i) {
        auto reader = VideoReader::open(*files[i]);
        if (!reader)
            return reader.error();
        infos[i] = (*reader)->info();
    }
    const auto mismatch = [&](const std::string& what, const std::string& a, const std::string& b) {
        return makeError(ErrorCode::Mismatch, "The first clip has " + a + " and the second " + b +
                                                  "; only clips of the same " + what + " can be compared.");
    };
    const auto size = [](const VideoInfo& i) {
        return std::to_string(i.width) + "x" + std::to_string(i.height);
    };
    if (size(infos[0]) != size(infos[1]))
        return mismatch("size", size(infos[0]) + " pixels", size(infos[1]) + " pixels");
    if (infos[0].frames != infos[1].frames)
        return mismatch("length", std::to_string(infos[0].frames) + " frames",
                        std::to_string(infos[1].frames));

    auto a = PlaneDecoder::open(fileA);
    auto b = PlaneDecoder::open(fileB);
    if (!a || !b)
        return a ? b.error() : a.error();
    const auto* descriptor = av_pix_fmt_desc_get(static_cast<AVPixelFormat>((*a)->parameters()->format));
    if (!descriptor)
        return makeError(ErrorCode::Malformed,
                         "The first clip does not say its colour format: " + fileA.string());

    // Both are numbered 0, 1, 2 ... so that the filters pair frames by place, not by time.
    FilterGraphPtr graph(avfilter_graph_alloc());
    AVFilterContext* sources[2] = {};
    AVFilterContext* sinks[2] = {};
    for (int i = 0; i < 2; ++i) {
        const AVCodecParameters* p = (i == 0 ? **a : **b).parameters();
        const std::string arguments = "video_size=" + std::to_string(p->width) + "x" +
                                      std::to_string(p->height) + ":pix_fmt=" + std::to_string(p->format) +
                                      ":time_base=1/25";
        int code = avfilter_graph_create_filter(&sources[i], avfilter_get_by_name("buffer"),
                                                i == 0 ? "a" : "b", arguments.c_str(), nullptr, graph.get());
        if (code >= 0)
            code = avfilter_graph_create_filter(&sinks[i], avfilter_get_by_name("buffersink"),
                                                i == 0 ? "x" : "y", nullptr, nullptr, graph.get());
        if (code < 0)
            return noFilter(code);
    }
    const std::string format = std::string("format=pix_fmts=") + descriptor->name;
    const std::string chain =
        "[a]" + format + ",split[a1][a2];[b]" + format + ",split[b1][b2];[a1][b1]psnr[x];[a2][b2]ssim[y]";
    AVFilterInOut* outputs = nullptr; // of ours, that feed the chain
    AVFilterInOut* inputs = nullptr;
    for (int i = 0; i < 2; ++i) {
        AVFilterInOut* out = avfilter_inout_alloc();
        out->name = av_strdup(i == 0 ? "a" : "b");
        out->filter_ctx = sources[i];
        out->next = outputs;
        outputs = out;
        AVFilterInOut* in = avfilter_inout_alloc();
        in->name = av_strdup(i == 0 ? "x" : "y");
        in->filter_ctx = sinks[i];
        in->next = inputs;
        inputs = in;
    }
    int code = avfilter_graph_parse_ptr(graph.get(), chain.c_str(), &inputs, &outputs, nullptr);
    avfilter_inout_free(&inputs);
    avfilter_inout_free(&outputs);
    if (code >= 0)
        code = avfilter_graph_config(graph.get(), nullptr);
    if (code < 0)
        return noFilter(code);

    FileComparison r;
    r.pixelFormat = descriptor->name;
    const std::string letters = planeLetters(descriptor);
    for (const char letter : letters)
        r.planes += (r.planes.empty() ? "" : ", ") + std::string(1, letter);
    r.planes += " of " + r.pixelFormat;

    const double peak = std::pow(2.0, descriptor->comp[0].depth) - 1;
    const auto psnrOf = [&](double mse) {
        return mse > 0 ? 10 * std::log10(peak * peak / mse) : std::numeric_limits<double>::infinity();
    };
    double mseSum = 0;
    std::array<double, 3> mseSums{};
    double worstMse = -1;
    int psnrFrames = 0;
    int ssimFrames = 0;
    FramePtr result(av_frame_alloc());
    const auto drain = [&] {
        while (av_buffersink_get_frame(sinks[0], result.get()) >= 0) {
            const double mse = number(result->metadata, "lavfi.psnr.mse_avg");
            mseSum += mse;
            r.psnrFrames.push_back(psnrOf(mse));
            for (std::size_t i = 0; i < letters.size(); ++i)
                mseSums[i] += number(result->metadata, std::string("lavfi.psnr.mse.") +
                                                           static_cast<char>(std::tolower(letters[i])));
            if (mse > worstMse) {
                worstMse = mse;
                r.psnrWorst = psnrOf(mse);
                r.psnrWorstFrame = psnrFrames;
            }
            ++psnrFrames;
            av_frame_unref(result.get());
        }
        while (av_buffersink_get_frame(sinks[1], result.get()) >= 0) {
            const double ssim = number(result->metadata, "lavfi.ssim.All");
            r.ssim += ssim;
            r.ssimFrames.push_back(ssim);
            for (std::size_t i = 0; i < letters.size(); ++i)
                r.ssimPlanes[i] += number(result->metadata, std::string("lavfi.ssim.") + letters[i]);
            if (ssimFrames == 0 || ssim < r.ssimWorst) {
                r.ssimWorst = ssim;
                r.ssimWorstFrame = ssimFrames;
            }
            ++ssimFrames;
            av_frame_unref(result.get());
        }
    };
    r.identical = true;
    int given = 0;
    for (;; ++given) {
        if (options.stop.stop_requested())
            return makeError(ErrorCode::Cancelled, "The comparison was stopped.");
        FramePtr first = (*a)->next();
        FramePtr second = (*b)->next();
        if (!first || !second)
            break;
        for (AVFrame* frame : {first.get(), second.get()})
            frame->pts = given;
        if (av_buffersrc_add_frame(sources[0], first.get()) < 0 ||
            av_buffersrc_add_frame(sources[1], second.get()) < 0)
            return noFilter(AVERROR(EINVAL));
        drain();
        if (options.progress)
            options.progress(given + 1, infos[0].frames);
    }
    for (AVFilterContext* source : sources)
        if (av_buffersrc_add_frame(source, nullptr) < 0)
            return noFilter(AVERROR(EINVAL));
    drain();
    if (given != infos[0].frames || psnrFrames != given || ssimFrames != given)
        return makeError(ErrorCode::Malformed,
                         "Only " + std::to_string(std::min(given, psnrFrames)) + " of " +
                             std::to_string(infos[0].frames) +
                             " frames could be decoded and compared; one of the files is "
                             "damaged.");
    r.frames = given;
    r.identical = mseSum == 0;
    r.psnr = psnrOf(mseSum / given);
    r.ssim /= given;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        r.psnrPlanes[i] = psnrOf(mseSums[i] / given);
        r.ssimPlanes[i] /= given;
    }
    return r;
}

} // namespace canopy::media
