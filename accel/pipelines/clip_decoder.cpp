#include "accel/pipelines/clip_decoder.h"

#include <ATen/TensorOperators.h>
#include <c10/core/CPUAllocator.h>

#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/job/memory_plan.h"

namespace canopy::accel {

ClipDecoder::ClipDecoder(LoadedModel& model, GenerationRequest& request, JobObserver& observer,
                         std::function<void()> releaseMemory, std::stop_token stop)
    : m_model(model)
    , m_request(request)
    , m_observer(observer)
    , m_releaseMemory(std::move(releaseMemory))
    , m_stop(std::move(stop)) {}

void ClipDecoder::send(const at::Tensor& rgb) {
    const auto bytes = rgb.to(at::kCPU).contiguous(); // uint8 [n, H, W, 3]
    for (std::int64_t i = 0; i < bytes.size(0); ++i) {
        const auto* data = bytes[i].const_data_ptr<std::uint8_t>();
        m_observer.frame(m_sent, m_request.frames, m_request.width, m_request.height,
                         std::vector<std::uint8_t>(data, data + bytes[i].numel()));
        ++m_sent;
    }
}

void ClipDecoder::decode(const at::Tensor& latents, std::int64_t frames) {
    const WanVae& vae = m_model.vae(m_stop);
    if (!m_stream)
        m_stream = vae.beginDecode(m_stop);
    m_stream->moveTo(vae.device());
    for (; m_decoded < frames; ++m_decoded)
        vae.decodeNext(latents.narrow(1, m_decoded, 1).unsqueeze(0), *m_stream,
                       [this](const at::Tensor& rgb) { send(rgb); });
}

void ClipDecoder::grow(const at::Tensor& latents, std::int64_t frames) {
    if (m_request.vaeTiling || m_waits || frames <= m_decoded)
        return;
    const double start = steadySeconds();
    bool failed = false;
    try {
        decode(latents, frames);
        m_stream->moveTo(at::kCPU); // sampling goes on with all of the card
    } catch (const c10::OutOfMemoryError&) {
        if (m_sent > 0)
            throw;
        failed = true; // leave the handler first: the exception holds references
    }
    if (failed) {
        logWarning("engine", "Not enough memory to decode chunks while others are made; the clip is decoded "
                             "at its end.");
        m_stream.reset();
        m_waits = true;
        if (m_releaseMemory)
            m_releaseMemory();
    }
    m_seconds += steadySeconds() - start;
}

void ClipDecoder::finish(const at::Tensor& latents) {
    const int frames = static_cast<int>(latents.size(1));
    const auto tell = [&] { m_observer.stage("decode", latentFrames(m_sent), frames); };
    const auto whole = [&] {
        WanVae::DecodeOptions options;
        options.stop = m_stop;
        options.tiling = VaeTiling{};
        options.onFrames = [&](const at::Tensor& rgb) {
            send(rgb);
            tell();
        };
        tell();
        m_model.vae(m_stop).decode(latents.unsqueeze(0), options);
    };
    if (m_request.vaeTiling)
        return whole();
    bool retry = false;
    try {
        tell();
        while (m_decoded < frames) {
            decode(latents, m_decoded + 1);
            tell();
        }
    } catch (const c10::OutOfMemoryError&) {
        if (m_sent > 0)
            throw;
        retry = true;
    }
    if (retry) {
        m_stream.reset();
        if (m_releaseMemory)
            m_releaseMemory();
        logWarning("engine", "Not enough memory to decode whole frames; decoding in tiles instead.");
        m_request.vaeTiling = true;
        whole();
    }
}

} // namespace canopy::accel
