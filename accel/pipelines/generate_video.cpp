#include "accel/pipelines/generate_video.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>

#include <string>
#include <utility>
#include <vector>

#include "accel/ops/product_counter.h"
#include "accel/pipelines/attention_stats.h"
#include "accel/pipelines/clip_decoder.h"
#include "accel/pipelines/encode_prompt.h"
#include "accel/pipelines/generate_chunks.h"
#include "accel/pipelines/latents_file.h"
#include "accel/pipelines/state_file.h"
#include "accel/pipelines/whole_state.h"
#include "accel/policies/attention_policies.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"
#include "core/base/clock.h"
#include "core/job/chunk_layout.h"
#include "core/job/memory_plan.h"

namespace canopy::accel {

namespace {

class Stopwatch {
public:
    double lap() {
        const double now = steadySeconds();
        const double seconds = now - m_start;
        m_start = now;
        return seconds;
    }

private:
    double m_start = steadySeconds();
};

/// Latents of the first image or of the frames that a video begins the clip with: [C, n, h, w].
at::Tensor encodeGiven(LoadedModel& model, const GenerationRequest& request, const std::stop_token& stop) {
    const auto& path = request.imagePixelsPath;
    const auto pixels =
        request.chunks.givenFrames == 0
            ? readImagePixels(path, request.width, request.height).unsqueeze(1)
            : readVideoPixels(path, pixelFrames(request.chunks.givenFrames), request.width, request.height);
    return model.vae(stop).encode(pixels.unsqueeze(0), {stop, {}, {}})[0];
}

DenoisePlan planOf(const GenerationRequest& request, int frames, bool firstImage) {
    auto schedule = scheduleOf(request);
    if (!firstImage)
        return synchronousPlan(request.sampler, std::move(schedule), frames);
    // The first latent frame is finished from the start, at time 0; the others move together around it.
    DiffusionForcingSetting setting;
    setting.frames = frames;
    setting.baseFrames = frames;
    setting.prefixFrames = 1;
    return forcingPlan(request.sampler, std::move(schedule), setting, false);
}

StateSaving savingTo(JobObserver& observer) {
    return {observer.stateBudget(), [&observer](bool stopped) { return observer.wantsState(stopped); },
            [&observer](const SamplingPoint& point, std::vector<std::uint8_t> file) {
                observer.state(point, std::move(file));
            }};
}

SamplingPoint readWhole(const GenerationRequest& request, DenoiseState& state) {
    SamplingPoint point;
    const auto parts = readState(request.resumeStatePath, request, state.latents.device(), &point);
    try {
        restoreWhole(parts, state);
    } catch (const std::invalid_argument& e) {
        throw JobError(ErrorCode::Mismatch, std::string("The saved state does not fit this clip (") +
                                                e.what() +
                                                "); start it anew. File: " + request.resumeStatePath);
    }
    return point;
}

/// Whether attention at a step follows from that step alone.
bool isStateless(const AttentionSettings& s) {
    return s.method == AttentionMethod::Dense || s.method == AttentionMethod::Window ||
           (s.method != AttentionMethod::Svg2 && s.reuse == MaskReuse::Off);
}

} // namespace

at::Tensor initialNoise(std::uint64_t seed, int channels, int latentFrameCount, int rows, int columns) {
    return at::randn({1, channels, latentFrameCount, rows, columns}, at::detail::createCPUGenerator(seed),
                     at::TensorOptions(at::kFloat))
        .squeeze(0);
}

FlowSchedule scheduleOf(const GenerationRequest& request) {
    return request.sampler == Sampler::UniPc ? uniPcSchedule(request.steps, request.shift, request.timeGrid)
                                             : eulerSchedule(request.steps, request.shift);
}

GenerationTimes generateVideo(LoadedModel& model, GenerationRequest& request,
                              const GenerationOptions& options, JobObserver& observer,
                              const std::stop_token& stop) {
    GenerationTimes times;
    Stopwatch watch;
    const auto& record = model.record();
    const int channels = record.vae.latentChannels;
    const int frames = latentFrames(request.frames);
    const int rows = request.height / 8;
    const int columns = request.width / 8;
    const bool keepWhole = keepsWholeModel(record, request);
    const auto takePeak = [&] { return options.takePeak ? options.takePeak() : std::uint64_t{0}; };
    takePeak();

    ClipDecoder decoder(model, request, observer, options.releaseMemory, stop);
    at::Tensor latents;
    if (request.resumeLatentsPath.empty()) {
        observer.stage("load", 0, 3);
        model.textEncoder(stop);
        times.loadSeconds += watch.lap();
        observer.stage("load", 1, 3);

        observer.stage("text", 0, 1);
        const bool guided = request.guidance != 1.0;
        const auto promptEmbeds = encodePrompt(model, request.prompt, stop);
        const auto negativeEmbeds = guided ? encodePrompt(model, request.negativePrompt, stop) : at::Tensor();
        times.textPeakBytes = takePeak();
        if (!keepWhole) {
            model.dropTextEncoder();
            if (options.releaseMemory)
                options.releaseMemory();
            takePeak();
        }
        times.textSeconds += watch.lap();
        observer.timing("text", 0, times.textSeconds);
        observer.stage("text", 1, 1);

        observer.stage("load", 1, 3);
        const auto& dit = model.transformer(stop);
        observer.stage("load", 2, 3);
        model.vae(stop);
        const bool watched = observer.wants("preview");
        if (watched)
            model.previewMap(stop);
        times.loadSeconds += watch.lap();
        observer.timing("load", 0, times.loadSeconds);
        observer.stage("load", 3, 3);

        auto noise = initialNoise(request.seed, channels, frames, rows, columns).to(model.device());
        const bool firstImage = !request.imagePixelsPath.empty() || !request.imagePath.empty();
        const bool resumes = !request.resumeStatePath.empty();
        if (firstImage && !resumes) {
            const auto encoded = encodeGiven(model, request, stop); // [16, n, h, w]
            noise.narrow(1, 0, encoded.size(1)).copy_(encoded);
        }
        if (const int first = request.chunks.fromChunk * request.chunks.blockFrames;
            request.chunks.mode == SamplingMode::Chunked && first > 0 && !resumes) {
            const auto base = readLatents(request.chunks.basePath, {channels, frames, rows, columns});
            noise.narrow(1, 0, first).copy_(base.narrow(1, 0, first));
        }
        Conditioning conditioning;
        conditioning.prompt = dit.embedText(promptEmbeds);
        if (guided)
            conditioning.negative = dit.embedText(negativeEmbeds);
        conditioning.guidance = request.guidance;
        conditioning.fpsIndex = fpsIndexOf(request, record.defaults);

        DenoiseEvents events;
        int row = 0; // under way
        events.pace = options.pace;
        events.block = [&](int done, int blocks) { observer.block(done, blocks); };
        events.wantsBlockSeconds = [&] { return observer.wants("block_times"); };
        events.blockSeconds = [&](int layer, double seconds) {
            observer.timing("block " + std::to_string(layer), row, seconds);
        };
        events.wantsClean = [&] { return observer.wants("preview"); };
        events.clean = [&](int finished, const at::Tensor& clean) {
            const double start = steadySeconds();
            auto pictures = model.previewMap(stop).render(clean);
            observer.preview(finished + 1, pictures.width, pictures.height, pictures.frames,
                             std::move(pictures.rgb));
            observer.timing("preview", finished, steadySeconds() - start);
        };
        std::vector<AttentionRecord> attended;
        std::size_t told = 0; // of `attended`: those of earlier steps
        events.rowDone = [&](int finished, int rowCount, double seconds) {
            times.stepSeconds.push_back(seconds);
            if (attended.size() > told && observer.wants("attention"))
                observer.attentionStep(
                    {finished, rowCount, seconds, {attended.begin() + std::ptrdiff_t(told), attended.end()}});
            told = attended.size();
            observer.timing("step", finished, seconds);
            row = finished + 1;
            observer.stage("denoise", row, rowCount);
        };
        AttentionTelemetry telemetry;
        telemetry.wanted = [&] { return observer.wants("attention") || observer.wants("attention_stats"); };
        telemetry.take = [&](AttentionRecord call) { attended.push_back(std::move(call)); };
        telemetry.synchronize = options.synchronize;
        telemetry.wantsMasks = [&](int layer) {
            return observer.wants(kAllMasksTopic) || observer.wants(maskTopic(layer));
        };
        telemetry.takeMasks = [&](std::vector<BlockBitmap> masks) { observer.attentionMasks(masks); };
        const auto resumed = [&](const SamplingPoint& from) {
            row = from.row;
            observer.resumed(from);
            observer.stage("denoise", from.row, from.rows);
        };
        DenoiseHooks hooks = options.hooks;
        const auto attention = makeAttentionPolicy(request.attention, std::move(telemetry));
        if (!hooks.attention)
            hooks.attention = attention.get();
        const ops::ProductCounter products;
        if (request.chunks.mode == SamplingMode::Chunked) {
            ChunkClipEvents chunkEvents;
            chunkEvents.steps = events;
            chunkEvents.begin = [&](int rowCount) { observer.stage("denoise", row, rowCount); };
            chunkEvents.finished = [&](const at::Tensor& clip, std::int64_t ready) {
                decoder.grow(clip, ready);
            };
            chunkEvents.saving = savingTo(observer);
            chunkEvents.resumed = [&](const SamplingPoint& from) { resumed(from); };
            if (observer.wants("chunks"))
                chunkEvents.record = [&](const ChunkRecord& part) { observer.chunks(part); };
            latents = generateChunks(dit, conditioning, record.defaults, request, noise, hooks.attention,
                                     chunkEvents, stop);
        } else {
            const auto plan = planOf(request, frames, firstImage);
            auto state = startState(plan, noise);
            const int rowCount = static_cast<int>(plan.rows.size());
            if (resumes)
                resumed(readWhole(request, state));
            else
                observer.stage("denoise", 0, rowCount);
            const auto save = [&](bool stopped) {
                if (state.row == 0 || !observer.wantsState(stopped))
                    return;
                // What a choice of keys remembers is not kept: it begins anew there.
                const SamplingPoint point{
                    .row = state.row, .rows = rowCount, .exact = isStateless(request.attention)};
                StateParts parts;
                saveWhole(state, parts);
                observer.state(point, writeState(parts, point, request));
            };
            events.rowDone = [&, told = std::move(events.rowDone)](int finished, int count, double seconds) {
                told(finished, count, seconds);
                save(false);
            };
            try {
                denoise(dit, conditioning, plan, state, hooks, events, stop);
            } catch (const Cancelled&) {
                save(true);
                throw;
            }
            latents = state.latents;
        }
        if (products.knowsAll())
            times.denoiseFlop = products.flop();
        if (!attended.empty() && observer.wants("attention_stats"))
            observer.attentionStats(attentionStatsJson(request.attention, attended));
        times.denoiseSeconds = watch.lap() - decoder.seconds();
        observer.timing("denoise", 0, times.denoiseSeconds);
        times.denoisePeakBytes = takePeak();
        observer.latents(writeLatents(latents, request));
        if (!keepWhole)
            model.dropTransformer();
    } else {
        latents =
            readLatents(request.resumeLatentsPath, {channels, frames, rows, columns}).to(model.device());
        observer.stage("load", 2, 3);
        model.vae(stop);
        times.loadSeconds += watch.lap();
        observer.stage("load", 3, 3);
    }
    if (options.releaseMemory)
        options.releaseMemory();

    takePeak();
    decoder.finish(latents);
    times.decodeSeconds = watch.lap() + decoder.seconds();
    times.decodePeakBytes = takePeak();
    observer.timing("decode", 0, times.decodeSeconds);
    return times;
}

} // namespace canopy::accel
