#include "accel/pipelines/answer_video.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "accel/pipelines/answer_decoder.h"
#include "accel/pipelines/frames_file.h"
#include "accel/pipelines/video_features.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"
#include "core/base/clock.h"
#include "core/job/ask_plan.h"
#include "core/job/ask_prompt.h"

namespace canopy::accel {
namespace {

HostPooling poolingOf(const AskRequest& request, const QaModelRecord& record) {
    if (request.pooling == TokenPooling::Auto)
        return record.pooling;
    return request.pooling == TokenPooling::Average ? HostPooling::Average : HostPooling::Bilinear;
}

std::vector<std::int64_t> encode(const BpeTokenizer& tokenizer, const std::vector<PromptPiece>& pieces,
                                 int vocabulary) {
    std::vector<std::int64_t> ids;
    for (const auto& piece : pieces) {
        const auto part = orThrow(
            tokenizer.encode(piece.text, piece.marker ? SpecialTokens::AsTokens : SpecialTokens::AsText));
        ids.insert(ids.end(), part.begin(), part.end());
    }
    for (const auto id : ids) {
        if (id >= vocabulary)
            throw JobError(ErrorCode::Mismatch, "The tokenizer makes the id " + std::to_string(id) +
                                                    ", the model knows ids below " +
                                                    std::to_string(vocabulary) +
                                                    ". Use tokenizer and weights of the same release.");
    }
    return ids;
}

/// The ids of "A", "B", ... as they begin an answer.
std::vector<std::int32_t> letterIds(const BpeTokenizer& tokenizer, std::size_t options) {
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < options; ++i) {
        const auto letter =
            orThrow(tokenizer.encode(optionLetter(static_cast<int>(i)), SpecialTokens::AsText));
        if (letter.empty())
            throw JobError(ErrorCode::Mismatch, "The tokenizer has no token for the letter of an option.");
        ids.push_back(letter.front());
    }
    return ids;
}

/// The language model's input: text, video, text.
struct Sequence {
    at::Tensor embeddings; ///< [n, D]
    at::Tensor positions;  ///< int64 [n]
    at::Tensor videoIndex; ///< int64 [n], -1 for text
    std::int64_t answerPosition = 0;
};

/// Kept features and newlines in the order of the layout, [n, D].
at::Tensor videoEmbeddings(const Llava& llava, const at::Tensor& features, const TokenSelection& selection,
                           const TokenLayout& layout) {
    at::Tensor rows = selection.features.defined() ? selection.features.to(features.scalar_type())
                                                   : features.flatten(0, 1).index_select(0, selection.kept);
    at::Tensor source = layout.source;
    if (llava.newline().defined()) {
        source = at::where(source < 0, at::full({}, rows.size(0), source.options()), source);
        rows = at::cat({rows, llava.newline().unsqueeze(0)});
    }
    return rows.index_select(0, source);
}

Sequence assemble(const Llava& llava, const at::Tensor& video, const TokenLayout& layout,
                  PositionPolicy positions, const std::vector<std::int64_t>& before,
                  const std::vector<std::int64_t>& after) {
    const auto& language = llava.language();
    const auto first = static_cast<std::int64_t>(before.size());
    const auto last = static_cast<std::int64_t>(after.size());
    const std::int64_t videoEnd =
        first + (positions == PositionPolicy::Original ? layout.unprunedTokens : video.size(0));
    const auto longs = layout.positions.options();
    Sequence s;
    s.embeddings = at::cat(
        {language.embed(at::tensor(before, at::kLong)), video, language.embed(at::tensor(after, at::kLong))});
    s.positions = at::cat(
        {at::arange(first, longs), layout.positions + first, at::arange(videoEnd, videoEnd + last, longs)});
    s.videoIndex = at::cat({at::full({first}, -1, longs), layout.videoIndex, at::full({last}, -1, longs)});
    s.answerPosition = videoEnd + last;
    return s;
}

[[noreturn]] void refuseLength(std::int64_t tokens, int limit, const TokenRun& run) {
    throw JobError(ErrorCode::InvalidArgument,
                   "Video and question come to " + std::to_string(tokens) + " tokens (" +
                       std::to_string(run.modelTokens) + " of " + std::to_string(run.frames) +
                       " frames); this model reads at most " + std::to_string(limit) +
                       " with the answer. Keep fewer tokens or use fewer frames.");
}

/// Sum over layers of what one layer costs at its own number of tokens. token-forest.md 1.11.
double prefillFlopOf(Qwen2Config language, const std::vector<int>& lengths) {
    language.layers = 1;
    return std::accumulate(lengths.begin(), lengths.end(), 0.0,
                           [&](double sum, int n) { return sum + prefillFlop(language, n); });
}

} // namespace

AnswerResult answerVideo(LoadedQaModel& model, AskRequest& request, const AnswerOptions& options,
                         AskObserver& observer, const std::stop_token& stop) {
    const auto& record = model.record();
    const auto clock = [&options] {
        if (options.synchronize)
            options.synchronize();
        return steadySeconds();
    };
    const auto timed = [&](std::string_view name, double seconds) { observer.timing(name, 0, seconds); };
    AnswerResult result;
    Answer& answer = result.answer;
    if (options.takePeak)
        options.takePeak();

    const bool asks = !request.question.empty();
    auto policy = options.policy ? options.policy(request.tokens) : makeTokenPolicy(request.tokens);
    if (policy.reducer && !asks)
        throw JobError(ErrorCode::InvalidArgument,
                       std::string(tokenModeInfo(request.tokens.mode).label) +
                           " chooses tokens while the language model reads the question, and there is none. "
                           "Ask a question, or choose another mode.");

    double start = clock();
    observer.stage("load", 0, 1);
    const auto& tokenizer = model.tokenizer();
    const auto& llava = model.model(stop);
    const auto& language = llava.language();
    answer.loadSeconds = clock() - start;
    timed("load", answer.loadSeconds);
    observer.stage("load", 1, 1);

    const auto frames = readFrames(request.framesFile, record.vision.imageSize);
    const auto frameCount = static_cast<std::size_t>(frames.size(0));
    if (request.frameIndex.size() != frameCount || request.frameSeconds.size() != frameCount)
        throw JobError(ErrorCode::Mismatch, "There are " + std::to_string(frameCount) + " frames, " +
                                                std::to_string(request.frameIndex.size()) + " indices and " +
                                                std::to_string(request.frameSeconds.size()) +
                                                " times; sample the video again.");

    const double framesInMemory = clock();
    FeatureCall featureCall;
    featureCall.pooling = poolingOf(request, record);
    featureCall.wantsAttention = policy.selector->needsAttention();
    featureCall.wantsKeys = policy.selector->needsKeys();
    featureCall.wantsPixels = policy.selector->needsPixels();
    featureCall.progress = [&](int done, int count) { observer.stage("vision", done, count); };
    featureCall.clock = clock;
    featureCall.stop = stop;
    const auto seen = videoFeatures(model, frames, featureCall);
    const VideoTokens& video = seen.tokens;
    answer.featuresCached = seen.cached;
    answer.visionSeconds = seen.visionSeconds;
    answer.projectSeconds = seen.projectSeconds;
    answer.visionFlop = seen.cached ? 0 : visionFlop(record.vision, record.language.width, video.frames);
    timed("vision", answer.visionSeconds);
    timed("project", answer.projectSeconds);

    throwIfStopped(stop);
    start = clock();
    observer.stage("select", 0, 1);
    auto selection = policy.selector->select(video, stop);
    const auto layout = layoutTokens(selection, record.newlines);
    answer.selectSeconds = clock() - start;
    timed("select", answer.selectSeconds);
    TokenRun& run = result.run;
    run = selection.run;
    run.frameIndex = request.frameIndex;
    run.frameSeconds = request.frameSeconds;
    observer.stage("select", 1, 1);
    observer.tokens(run);

    answer.frames = video.frames;
    answer.cells = run.cells();
    answer.videoTokens = run.modelTokens;
    answer.unprunedTokens = static_cast<int>(layout.unprunedTokens);
    if (!asks) {
        answer.request = request;
        answer.peakBytes = options.takePeak ? options.takePeak() : 0;
        return result;
    }

    start = clock();
    const auto prompt = askPrompt(request);
    const auto before = encode(tokenizer, prompt.before, record.language.vocabulary);
    const auto after = encode(tokenizer, prompt.after, record.language.vocabulary);
    const auto letters = letterIds(tokenizer, request.options.size());
    const std::int64_t promptTokens =
        static_cast<std::int64_t>(before.size() + after.size()) + run.modelTokens;
    const int limit = record.language.maxPositions;
    // Under original positions those of the unpruned sequence count, not the tokens that are left.
    const std::int64_t lastPosition =
        run.settings.positions == PositionPolicy::Original
            ? static_cast<std::int64_t>(before.size() + after.size()) + layout.unprunedTokens
            : promptTokens;
    if (lastPosition >= limit)
        refuseLength(lastPosition, limit, run);
    const std::int64_t answerTokens = std::clamp<std::int64_t>(request.maxNewTokens, 1, limit - lastPosition);
    answer.promptTokens = static_cast<int>(promptTokens);

    const auto sequence = assemble(llava, videoEmbeddings(llava, video.features, selection, layout), layout,
                                   run.settings.positions, before, after);
    KvCache cache(record.language.layers, answerTokens);
    Qwen2::Prefill prefill;
    prefill.embeddings = sequence.embeddings;
    prefill.positions = sequence.positions;
    prefill.answerPosition = sequence.answerPosition;
    prefill.reducer = policy.reducer.get();
    prefill.videoIndex = sequence.videoIndex;
    prefill.frames = video.frames;
    prefill.patchesPerFrame = video.rows * (video.columns + (record.newlines == HostNewlines::Grid ? 1 : 0));
    prefill.stop = stop;
    const bool watchesLayers = observer.wants("block_times");
    double layerStart = start;
    prefill.layerDone = [&](int done) {
        if (watchesLayers) {
            const double now = clock();
            observer.timing("layer " + std::to_string(done - 1), 0, now - layerStart);
            layerStart = now;
        }
        if (options.pace)
            options.pace();
        observer.stage("prefill", done, record.language.layers);
    };
    observer.stage("prefill", 0, record.language.layers);
    const auto logits = language.prefill(prefill, cache);
    answer.prefillSeconds = clock() - start;
    timed("prefill", answer.prefillSeconds);

    const auto lengths = cache.lengths();
    const int element = static_cast<int>(at::elementSize(model.dtype()));
    answer.kvBytes = cache.filledBytes();
    const std::uint64_t perLayer =
        kvBytesPerToken(record.language, element) / static_cast<std::uint64_t>(record.language.layers);
    answer.plannedKvBytes =
        std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}, [&](std::uint64_t sum, int n) {
            return sum + perLayer * static_cast<std::uint64_t>(n);
        });
    answer.prefillFlop = prefillFlopOf(record.language, lengths);
    if (policy.reducer) {
        run.layerTokens = lengths;
        policy.reducer->finish(run);
        observer.tokens(run);
    }

    DecodeCall decode;
    decode.stopIds = record.stopIds;
    decode.maxTokens = answerTokens;
    decode.stop = stop;
    double firstWord = 0;
    decode.firstToken = [&] {
        firstWord = clock();
        answer.firstWordSeconds = firstWord - framesInMemory;
        timed("first_word", answer.firstWordSeconds);
        readFirstToken(logits, tokenizer, letters, answer);
    };
    decode.words = [&](std::string_view text) { observer.words(text); };
    decode.progress = [&](std::int64_t tokens) {
        observer.stage("answer", static_cast<int>(tokens), static_cast<int>(answerTokens));
    };
    decodeAnswer(language, logits, cache, tokenizer, decode, answer);
    answer.decodeSeconds = clock() - firstWord;
    const auto later = static_cast<double>(answer.ids.size()) - 1;
    answer.decodeTokensPerSecond = later > 0 ? later / std::max(answer.decodeSeconds, 1e-9) : 0;
    timed("answer", answer.decodeSeconds);
    answer.peakBytes = options.takePeak ? options.takePeak() : 0;
    answer.request = request;
    return result;
}

std::vector<float> cellSimilarity(LoadedQaModel& model, const AskRequest& request, int cell,
                                  const std::stop_token& stop) {
    const auto& record = model.record();
    const auto frames = readFrames(request.framesFile, record.vision.imageSize);
    FeatureCall call;
    call.pooling = poolingOf(request, record);
    call.stop = stop;
    const auto cells =
        videoFeatures(model, frames, call).tokens.features.flatten(0, 1).to(at::kFloat); // [T N, D]
    if (cell < 0 || cell >= cells.size(0))
        throw JobError(ErrorCode::InvalidArgument, "Cell " + std::to_string(cell) +
                                                       " is asked for; the video has cells 0 to " +
                                                       std::to_string(cells.size(0) - 1) + ".");
    const auto unit = cells / cells.norm(2, {1}, true).clamp_min(1e-12);
    const auto cosine = unit.matmul(unit[cell]).to(at::kCPU).contiguous();
    const auto* data = cosine.const_data_ptr<float>();
    return {data, data + cosine.numel()};
}

} // namespace canopy::accel
