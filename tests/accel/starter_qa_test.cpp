// The question starter against the public class with the same weights: tests/data/starter-qa holds one clip
// of its reference, CANOPY_QA_REFERENCE_DIR names a folder with the whole.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "accel/models/llava/pool_cells.h"
#include "accel/pipelines/answer_decoder.h"
#include "accel/pipelines/answer_video.h"
#include "accel/pipelines/frames_file.h"
#include "accel/pipelines/numeric_error.h"
#include "accel/pipelines/video_features.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/job/ask_plan.h"
#include "core/job/ask_prompt.h"
#include "tests/support/parity_case.h"
#include "tests/support/quiet_asker.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;
using canopy::test::expectClose;
using canopy::test::QuietAsker;

namespace {

fs::path sourceFolder() {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    return source ? source : ".";
}

/// Share of the words of the longer text that the other has too, each counted as often as in both.
double sharedWords(const std::string& a, const std::string& b) {
    std::map<std::string, int> left;
    std::string word;
    std::size_t inA = 0, inB = 0, shared = 0;
    for (std::istringstream words(a); words >> word; ++inA)
        ++left[word];
    for (std::istringstream words(b); words >> word; ++inB)
        if (left[word]-- > 0)
            ++shared;
    return inA + inB == 0 ? 1.0 : static_cast<double>(shared) / static_cast<double>(std::max(inA, inB));
}

/// reference.json and reference.safetensors of one folder.
struct Reference {
    Reference() {
        const char* whole = std::getenv("CANOPY_QA_REFERENCE_DIR");
        const fs::path folder =
            whole && *whole ? fs::path(whole) : sourceFolder() / "tests" / "data" / "starter-qa";
        const auto text = readTextFile(folder / "reference.json", 8u << 20);
        REQUIRE_MESSAGE(text.ok(), text.error().message);
        const auto parsed = parseJson(*text);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().message);
        json = *parsed;
        auto opened = Checkpoint::open({folder / "reference.safetensors"});
        REQUIRE_MESSAGE(opened.ok(), opened.error().message);
        tensors.emplace(std::move(opened).value());
    }
    bool has(const std::string& name) const { return tensors->has(name); }
    at::Tensor tensor(const std::string& name) const {
        const auto* info = tensors->find(name);
        REQUIRE_MESSAGE(info, "the reference lacks ", name);
        const auto type = info->dtype == DType::U8    ? at::kByte
                          : info->dtype == DType::I32 ? at::kInt
                                                      : at::kFloat;
        auto t = at::empty(std::vector<std::int64_t>(info->shape.begin(), info->shape.end()),
                           at::TensorOptions(type));
        REQUIRE(tensors->read(name, {static_cast<std::uint8_t*>(t.mutable_data_ptr()), t.nbytes()}).ok());
        return t;
    }
    std::size_t clips() const { return json["clips"].asArray().size(); }

    Value json;
    std::optional<Checkpoint> tensors;
};

/// Eight frames of the first clip, from the start again where it has fewer.
at::Tensor eightFrames(const Reference& reference) {
    const auto frames = reference.tensor("clip0.frames_u8");
    return frames.repeat({(7 + frames.size(0)) / frames.size(0), 1, 1, 1}).narrow(0, 0, 8).contiguous();
}

std::vector<std::int64_t> integers(const Value& array) {
    std::vector<std::int64_t> result;
    for (const auto& v : array.asArray())
        result.push_back(v.asInt());
    return result;
}

/// The starter in float32, read once for all cases.
LoadedQaModel& starter() {
    static LoadedQaModel model = [] {
        auto record = scanQaModel(sourceFolder() / "resources" / "models" / "starter-qa");
        REQUIRE_MESSAGE(record.ok(), record.error().message);
        return LoadedQaModel(*record, at::kCPU, at::kFloat);
    }();
    return model;
}

/// A frames file as the client writes it, in a folder of its own.
struct FramesFile {
    explicit FramesFile(const at::Tensor& frames) {
        std::string name = (fs::temp_directory_path() / "canopy-frames-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        TensorBytes t{"frames", DType::U8, {}, {frames.const_data_ptr<std::uint8_t>(), frames.nbytes()}};
        for (const auto n : frames.sizes())
            t.shape.push_back(static_cast<std::uint64_t>(n));
        REQUIRE(writeFileAtomically(path(), writeSafetensors({t})).ok());
    }
    ~FramesFile() { fs::remove_all(folder); }
    fs::path path() const { return folder / "frames.safetensors"; }
    fs::path folder;
};

AskRequest asking(const FramesFile& file, std::int64_t frames, std::string question) {
    AskRequest request;
    request.framesFile = file.path().string();
    request.question = std::move(question);
    request.maxNewTokens = 96;
    for (std::int64_t i = 0; i < frames; ++i) {
        request.frameIndex.push_back(i * 9);
        request.frameSeconds.push_back(static_cast<double>(i) * 9 / 16);
    }
    request.frames = static_cast<int>(frames);
    return withModelDefaults(request, starter().record());
}

AnswerResult ask(AskRequest request, QuietAsker& observer, const std::stop_token& stop = {}) {
    return answerVideo(starter(), request, {}, observer, stop);
}

/// The answer's ten first tokens against stored ids and logits: log-probabilities differ from logits by one
/// constant.
void checkTop(const Answer& answer, const Value& reference) {
    const auto ids = integers(reference["top_ids"]);
    const auto& logits = reference["top_logits"].asArray();
    REQUIRE(answer.top.size() == ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        CAPTURE(i);
        CHECK(answer.top[i].id == ids[i]);
        const double ours = std::log(answer.top[i].probability / answer.top[0].probability);
        CHECK(ours == doctest::Approx(logits[i].asDouble() - logits[0].asDouble()).epsilon(1e-3));
    }
}

/// A stored prompt of the reference: multiple-choice text stands in its question as one string.
AskPrompt promptOf(const Value& question) {
    AskRequest request;
    request.question = question["question"].asString();
    return askPrompt(request);
}

std::vector<std::int64_t> encoded(const std::vector<PromptPiece>& pieces) {
    std::vector<std::int64_t> ids;
    for (const auto& piece : pieces) {
        const auto part = starter().tokenizer().encode(piece.text, piece.marker ? SpecialTokens::AsTokens
                                                                                : SpecialTokens::AsText);
        REQUIRE(part.ok());
        ids.insert(ids.end(), part->begin(), part->end());
    }
    return ids;
}

} // namespace

TEST_CASE("the starter's tower, projector and language model give the stored intermediates") {
    const c10::InferenceMode inference;
    const Reference reference;
    const auto& llava = starter().model({});
    for (std::size_t c = 0; c < reference.clips(); ++c) {
        const std::string clip = "clip" + std::to_string(c) + ".";
        CAPTURE(clip);
        const auto frames = reference.tensor(clip + "frames_u8");
        starter().features().clear();
        const auto video = videoFeatures(starter(), frames, {}).tokens;
        const auto norms = reference.tensor(clip + "feature_norms");
        expectClose(video.features.flatten(0, 1).norm(2, {1}), norms, 1e-4, "feature norms");
        const auto first = reference.tensor(clip + "features_first2");
        expectClose(video.features.flatten(0, 1).narrow(0, 0, first.size(0)), first, 1e-4, "features");
        const auto& stats = reference.json["clips"].asArray()[c]["features"];
        CHECK(video.features.mean().item<double>() ==
              doctest::Approx(stats["mean"].asDouble()).epsilon(1e-4));

        if (reference.has(clip + "vision_last_block_frame0")) {
            std::map<std::string, at::Tensor, std::less<>> taps;
            SiglipTower::Call call;
            call.tap = [&](std::string_view name, const at::Tensor& x) { taps.emplace(name, x); };
            const auto pixels = (frames.narrow(0, 0, 1).to(at::kFloat) / 255.0 - 0.5) / 0.5;
            const auto seen = llava.tower()(pixels.permute({0, 3, 1, 2}), call);
            expectClose(taps["embeddings"][0], reference.tensor(clip + "vision_embeddings_frame0"), 1e-4,
                        "vision embeddings");
            expectClose(seen.hidden[0], reference.tensor(clip + "vision_last_block_frame0"), 1e-4,
                        "last vision block");
        }

        const auto& question = reference.json["clips"].asArray()[c]["questions"].asArray()[0];
        const auto& language = llava.language();
        Qwen2::Prefill call;
        call.embeddings = at::cat({language.embed(at::tensor(integers(question["prefix_ids"]))),
                                   video.features.flatten(0, 1), llava.newline().unsqueeze(0),
                                   language.embed(at::tensor(integers(question["suffix_ids"])))});
        call.answerPosition = call.embeddings.size(0);
        call.positions = at::arange(call.answerPosition, at::TensorOptions(at::kLong));
        const auto last = reference.tensor(clip + "question0_last_position");
        const int layers = language.config().layers;
        REQUIRE(last.size(0) == layers + 1);
        call.tap = [&](std::string_view name, const at::Tensor& x) {
            for (int i = 0; i + 1 < layers; ++i) {
                if (name == "layer" + std::to_string(i))
                    expectClose(x[-1], last[i + 1], 1e-4, name);
            }
            if (name == "final_norm")
                expectClose(x[-1], last[layers], 1e-4, name);
        };
        expectClose(call.embeddings[-1], last[0], 1e-4, "input embedding");
        KvCache cache(layers, 1);
        language.prefill(call, cache);
    }
}

TEST_CASE("the starter's answers are those of the public class, token for token") {
    const c10::InferenceMode inference;
    const Reference reference;
    for (std::size_t c = 0; c < reference.clips(); ++c) {
        const std::string clip = "clip" + std::to_string(c) + ".";
        const auto frames = reference.tensor(clip + "frames_u8");
        const FramesFile file(frames);
        starter().features().clear();
        bool first = true;
        for (const auto& question : reference.json["clips"].asArray()[c]["questions"].asArray()) {
            CAPTURE(clip);
            CAPTURE(question["question"].asString());
            const auto prompt = promptOf(question);
            CHECK(encoded(prompt.before) == integers(question["prefix_ids"]));
            CHECK(encoded(prompt.after) == integers(question["suffix_ids"]));

            QuietAsker observer;
            const auto [answer, run] =
                ask(asking(file, frames.size(0), question["question"].asString()), observer);
            const auto ids = integers(question["generated_ids"]);
            CHECK(std::vector<std::int64_t>(answer.ids.begin(), answer.ids.end()) == ids);
            CHECK(answer.text == question["generated_text"].asString());
            CHECK(observer.text == answer.text);
            CHECK(answer.stop == Answer::Stop::EndOfText);
            CHECK(answer.videoTokens == question["video_tokens"].asInt());
            CHECK(answer.unprunedTokens == answer.videoTokens);
            CHECK(answer.featuresCached == !first);
            checkTop(answer, question);

            // The arithmetic of token-forest.md 1.10 and the bytes that are really there.
            CHECK(answer.kvBytes == kvBytesPerToken(starter().record().language, 4) *
                                        static_cast<unsigned>(answer.promptTokens));
            CHECK(answer.plannedKvBytes == answer.kvBytes);
            CHECK(answer.prefillFlop ==
                  doctest::Approx(prefillFlop(starter().record().language, answer.promptTokens)));
            first = false;
        }
    }
}

TEST_CASE("a quarter and a tenth of the tokens, chosen by the forest, give the stored first tokens") {
    const c10::InferenceMode inference;
    const Reference reference;
    for (std::size_t c = 0; c < reference.clips(); ++c) {
        const std::string clip = "clip" + std::to_string(c) + ".";
        CAPTURE(clip);
        const auto frames = reference.tensor(clip + "frames_u8");
        const FramesFile file(frames);
        const auto priority = reference.tensor(clip + "forest_priority").to(at::kLong).contiguous();
        for (const auto& question : reference.json["clips"].asArray()[c]["questions"].asArray()) {
            for (const auto& pruned : question["pruned"].asArray()) {
                CAPTURE(question["question"].asString());
                CAPTURE(pruned["ratio"].asDouble());
                auto request = asking(file, frames.size(0), question["question"].asString());
                request.tokens.mode = TokenMode::ForestCode;
                request.tokens.keep = pruned["ratio"].asDouble();
                QuietAsker observer;
                const auto [answer, run] = ask(request, observer);
                CHECK(run.keptCells == pruned["kept"].asInt());
                CHECK(answer.videoTokens == run.keptCells + 1);
                CHECK(run.roots == reference.json["clips"].asArray()[c]["forest"]["roots"].asInt());
                const auto* order = priority.const_data_ptr<std::int64_t>();
                const std::set<std::int64_t> expected(order, order + run.keptCells);
                std::set<std::int64_t> kept;
                for (std::size_t i = 0; i < run.kept.size(); ++i) {
                    if (run.kept[i])
                        kept.insert(static_cast<std::int64_t>(i));
                }
                CHECK(kept == expected);
                checkTop(answer, pruned);
            }
        }
    }
}

TEST_CASE("options, follow-ups, limits, cancel and refusals") {
    const c10::InferenceMode inference;
    const Reference reference;
    const auto frames = eightFrames(reference);
    const FramesFile file(frames);
    const auto request = [&](std::string question) {
        return asking(file, frames.size(0), std::move(question));
    };
    const auto& stored = reference.json["clips"].asArray()[0]["questions"].asArray();

    SUBCASE("options are lettered and their probabilities sum to one") {
        // The stored question holds its options as text: the request form must give the same prompt.
        const std::string text = stored[1]["question"].asString();
        auto chosen = request(text.substr(0, text.find('\n')));
        for (std::size_t at = text.find('\n'); at != std::string::npos;) {
            const std::size_t end = text.find('\n', at + 1);
            const std::string line = text.substr(at + 1, end == std::string::npos ? end : end - at - 1);
            if (line.size() > 3 && line[1] == '.')
                chosen.options.push_back(line.substr(3));
            at = end;
        }
        REQUIRE(chosen.options.size() >= 2);
        QuietAsker observer;
        const auto answer = ask(chosen, observer).answer;
        CHECK(std::vector<std::int64_t>(answer.ids.begin(), answer.ids.end()) ==
              integers(stored[1]["generated_ids"]));
        REQUIRE(answer.letterProbabilities.size() == chosen.options.size());
        double sum = 0;
        std::size_t best = 0;
        for (std::size_t i = 0; i < answer.letterProbabilities.size(); ++i) {
            sum += answer.letterProbabilities[i];
            if (answer.letterProbabilities[i] > answer.letterProbabilities[best])
                best = i;
        }
        CHECK(sum == doctest::Approx(1.0));
        CHECK(answer.text == optionLetter(static_cast<int>(best)));
    }
    SUBCASE("a follow-up reads the earlier turn behind the same video") {
        QuietAsker observer;
        const auto once = ask(request("Which colour is the kite?"), observer).answer;
        auto again = request("Which colour is the kite?");
        again.history = {{"Which colour is the kite?", once.text}};
        const auto later = ask(again, observer).answer;
        CHECK(later.featuresCached);
        CHECK(later.promptTokens > once.promptTokens);
        CHECK(later.visionSeconds == 0);
    }
    SUBCASE("without a question only tokens are chosen") {
        auto tokensOnly = request("");
        tokensOnly.tokens.mode = TokenMode::ForestCode;
        tokensOnly.tokens.keep = 0.1;
        QuietAsker observer;
        const auto [answer, run] = ask(tokensOnly, observer);
        CHECK(answer.ids.empty());
        CHECK(observer.stages.back() == "select");
        REQUIRE(observer.runs.size() == 1);
        CHECK((observer.runs[0] == run));
        CHECK(run.frameSeconds == tokensOnly.frameSeconds);
    }
    SUBCASE("an answer ends at its limit and says so") {
        auto brief = request(stored[2]["question"].asString());
        brief.maxNewTokens = 3;
        QuietAsker observer;
        const auto answer = ask(brief, observer).answer;
        CHECK(answer.ids.size() == 3);
        CHECK(answer.stop == Answer::Stop::Length);
        CHECK(observer.text == answer.text);
    }
    SUBCASE("a cancel is obeyed in the prefill") {
        std::stop_source source;
        QuietAsker observer;
        observer.onStage = [&](std::string_view name, int unit) {
            if (name == "prefill" && unit == 2)
                source.request_stop();
        };
        CHECK_THROWS_AS(ask(request("What is this?"), observer, source.get_token()), Cancelled);
        CHECK(observer.stages.back() == "prefill");
        CHECK(observer.lastUnit == 2);
    }
    SUBCASE("times of every stage, layers when watched") {
        QuietAsker observer;
        observer.wanted = "block_times";
        ask(request("What is this?"), observer);
        const std::set<std::string> told(observer.timings.begin(), observer.timings.end());
        for (const char* name :
             {"load", "vision", "project", "select", "prefill", "first_word", "answer", "layer 0", "layer 5"})
            CHECK_MESSAGE(told.contains(name), name);
    }
    SUBCASE("frames of another size are refused with both sizes") {
        const FramesFile small(at::empty({2, 32, 32, 3}, at::TensorOptions(at::kByte)).fill_(0));
        QuietAsker observer;
        try {
            ask(asking(small, 2, "What is this?"), observer);
            FAIL("accepted");
        } catch (const JobError& e) {
            CHECK(e.error.code == ErrorCode::Mismatch);
            CHECK(e.error.message.find("[2, 32, 32, 3]") != std::string::npos);
            CHECK(e.error.message.find("224") != std::string::npos);
        }
    }
    SUBCASE("more tokens than positions are refused with numbers") {
        auto record = starter().record();
        record.language.maxPositions = 1500;
        LoadedQaModel narrow(record, at::kCPU, at::kFloat);
        QuietAsker observer;
        auto long_ = request("What is this?");
        try {
            answerVideo(narrow, long_, {}, observer, {});
            FAIL("accepted");
        } catch (const JobError& e) {
            CHECK(e.error.code == ErrorCode::InvalidArgument);
            CHECK(e.error.message.find("1569 of 8 frames") != std::string::npos);
            CHECK(e.error.message.find("1500") != std::string::npos);
        }
    }
    SUBCASE("a cell is most like itself") {
        const auto cosine = cellSimilarity(starter(), request("?"), 300, {});
        REQUIRE(cosine.size() == 8 * 14 * 14);
        CHECK(cosine[300] == doctest::Approx(1.0));
        for (const float value : cosine)
            CHECK(std::abs(value) <= 1.0001);
        CHECK_THROWS_AS(cellSimilarity(starter(), request("?"), 1568, {}), JobError);
    }
}

TEST_CASE("the same question twice gives the same answer bit for bit") {
    const c10::InferenceMode inference;
    const Reference reference;
    const auto frames = reference.tensor("clip0.frames_u8");
    const FramesFile file(frames);
    std::vector<Answer::TopToken> top;
    for (int i = 0; i < 2; ++i) {
        starter().features().clear();
        QuietAsker observer;
        const auto answer = ask(asking(file, frames.size(0), "Which colour is the kite?"), observer).answer;
        if (i == 0)
            top = answer.top;
        CHECK((answer.top == top));
    }
}

TEST_CASE("logits that are not numbers end the answer with an error, not with a token") {
    const c10::InferenceMode inference;
    const auto& language = starter().model({}).language();
    KvCache cache(language.config().layers, 1);
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        auto logits = at::zeros({language.config().vocabulary});
        logits[17].fill_(bad);
        Answer answer;
        DecodeCall call;
        bool told = false;
        call.firstToken = [&] { told = true; };
        CHECK_THROWS_AS(decodeAnswer(language, logits, cache, starter().tokenizer(), call, answer),
                        NumericError);
        CHECK(!told);
    }
}

TEST_CASE("bfloat16 gives the same answers, and captions of the same words but for close choices") {
    const c10::InferenceMode inference;
    const Reference reference;
    LoadedQaModel half(starter().record(), at::kCPU, at::kBFloat16);
    for (std::size_t c = 0; c < reference.clips(); ++c) {
        const auto frames = reference.tensor("clip" + std::to_string(c) + ".frames_u8");
        const FramesFile file(frames);
        for (const auto& question : reference.json["clips"].asArray()[c]["questions"].asArray()) {
            CAPTURE(question["question"].asString());
            auto request = asking(file, frames.size(0), question["question"].asString());
            QuietAsker observer;
            const auto answer = answerVideo(half, request, {}, observer, {}).answer;
            // of two words for one thing (quickly, fast) a caption's logits differ by less than bfloat16
            // keeps
            CHECK(sharedWords(answer.text, question["generated_text"].asString()) >= 0.8);
            CHECK(answer.kvBytes ==
                  kvBytesPerToken(half.record().language, 2) * static_cast<unsigned>(answer.promptTokens));
        }
    }
}

TEST_CASE("a host with a newline in each row lays the same cells out row by row") {
    const c10::InferenceMode inference;
    const Reference reference;
    auto record = starter().record();
    record.newlines = HostNewlines::Grid;
    LoadedQaModel grid(record, at::kCPU, at::kFloat);
    const auto frames = eightFrames(reference);
    const FramesFile file(frames);
    auto request = asking(file, frames.size(0), "What is this?");
    request.maxNewTokens = 1;
    QuietAsker observer;
    auto [answer, run] = answerVideo(grid, request, {}, observer, {});
    CHECK(answer.videoTokens == 8 * 14 * 15);
    CHECK(run.keptNewlines == 8 * 14);
    CHECK(grid.features().find({contentHash(frames), HostPooling::Bilinear}) != nullptr);

    request.pooling = TokenPooling::Average;
    request.tokens.mode = TokenMode::ForestCode;
    request.tokens.keep = 0.1;
    const auto pruned = answerVideo(grid, request, {}, observer, {});
    CHECK(pruned.run.keptCells == 157);
    CHECK(pruned.answer.videoTokens == 157 + 8 * 14); // newlines after empty rows too
    CHECK(!pruned.answer.featuresCached);             // pooled otherwise
}
