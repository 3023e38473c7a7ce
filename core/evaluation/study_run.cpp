#include "core/evaluation/study_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <tuple>
#include <unistd.h>
#include <utility>

#include "core/base/clock.h"
#include "core/base/value_codec.h"
#include "core/evaluation/clip_questions.h"
#include "core/evaluation/line_journal.h"
#include "core/evaluation/one_job.h"
#include "core/job/chunk_flop.h"
#include "core/job/chunk_record.h"
#include "core/job/model_value.h"
#include "core/job/qa_model_value.h"
#include "core/project/fidelity.h"

namespace canopy::evaluation {
namespace {

void setOptional(Value& v, std::string_view key, const std::optional<double>& field) {
    if (field)
        v.set(key, *field);
}
std::optional<double> optionalOf(const Value& v, std::string_view key) {
    return v[key].isNumber() ? std::optional(v[key].asDouble()) : std::nullopt;
}

/// What the results depend on. Threads may differ between the slices of a study that only compares pictures,
/// but times of other threads must not be mixed: they belong to it.
Value headOf(const StudyOptions& o) {
    Value arms{Value::Array{}};
    for (const StudyArm& arm : o.grid.arms) {
        GenerationRequest request = arm.request;
        request.modelPath.clear();
        arms.push(Value{}.set("name", arm.name).set("request", toValue(request)));
    }
    std::vector<std::string> texts;
    for (const StudyPrompt& p : o.grid.prompts) {
        texts.push_back(p.prompt);
        for (const QuestionRow& q : p.questions) {
            texts.insert(texts.end(), {q.question, q.answer});
            texts.insert(texts.end(), q.options.begin(), q.options.end());
        }
    }
    Value seeds{Value::Array{}};
    for (const std::uint64_t seed : o.grid.seeds)
        seeds.push(seed);
    Value head;
    head.set("version", 1).set("model", o.model.id).set("qa_model", o.qaModel ? o.qaModel->id : "");
    head.set("reference", o.grid.arms[o.grid.reference].name).set("repeats", o.grid.repeats);
    head.set("arms", std::move(arms)).set("seeds", std::move(seeds)).set("prompts_hash", hashOf(texts));
    return head;
}

/// dB of each block: the mean over its frames. A block's first latent frame of the clip is one frame, every
/// other one four.
std::vector<double> byBlock(const std::vector<double>& framePsnr, int blockFrames) {
    std::vector<double> blocks;
    std::vector<int> frames;
    for (std::size_t f = 0; f < framePsnr.size(); ++f) {
        const std::size_t block = (f + 3) / 4 / static_cast<std::size_t>(blockFrames);
        if (block >= blocks.size()) {
            blocks.push_back(0);
            frames.push_back(0);
        }
        blocks.back() += framePsnr[f];
        ++frames.back();
    }
    for (std::size_t b = 0; b < blocks.size(); ++b)
        blocks[b] /= frames[b];
    return blocks;
}

struct Made {
    RawClip clip;
    Value stats;
    ChunkRecord chunks;
    GenerationRequest request; ///< resolved
    Value summary;
};

void fillFromStats(StudyResult& r, const Value& stats) {
    const Value& s = stats["summary"];
    const double calls = s["calls"].asDouble();
    if (calls <= 0)
        return;
    const double dense = s["dense_calls"].asDouble();
    r.density = (dense + (calls - dense) * s["kept_share"].asDouble()) / calls;
    r.reusedShare = s["reused_share"].asDouble();
    r.estimateSeconds = s["estimate_seconds"].asDouble();
    r.attentionSeconds = s["attention_seconds"].asDouble();
}

/// What sampling cost: counted, and as the model of chunk_flop.h has it.
void fillFlop(StudyResult& r, const Made& made, const ModelRecord& model) {
    if (made.summary["denoise_flop"].isNumber())
        r.flop = made.summary["denoise_flop"].asDouble();
    const GenerationRequest& clip = made.request;
    if (clip.chunks.mode == SamplingMode::Chunked) {
        const ChunkTotals totals = totalsOf(made.chunks);
        r.hitRate = totals.hitRate;
        r.flopEstimate = totals.flop;
    } else {
        r.flopEstimate = wholeClipFlop(model.dit, videoTokens(clip), model.defaults.textLength, clip.steps,
                                       clip.guidance != 1.0 ? 2 : 1, r.density.value_or(1));
    }
}

Result<void> fillFidelity(StudyResult& r, const RawClip& reference, const RawClip& clip, int blockFrames) {
    if (clip.frames != reference.frames || clip.rgb.size() != reference.rgb.size())
        return makeError(ErrorCode::Mismatch, "The engine made clips of different lengths for one prompt.");
    FidelityMeter meter;
    std::vector<double> framePsnr;
    for (int f = 0; f < clip.frames; ++f) {
        const auto added = meter.add(reference.frame(f), clip.frame(f), clip.width, clip.height);
        if (!added)
            return added.error();
        framePsnr.push_back(added->psnr);
    }
    const ClipFidelity fidelity = meter.result();
    if (blockFrames > 0)
        r.blockPsnr = byBlock(framePsnr, blockFrames);
    r.psnr = fidelity.psnrMean;
    r.ssim = fidelity.ssimMean;
    r.worstPsnr = fidelity.psnrWorst;
    return {};
}

class Run {
public:
    Run(StudyOptions options, LineJournal journal, const std::vector<Value>& others, std::stop_token stop)
        : m_options(std::move(options))
        , m_grid(m_options.grid)
        , m_journal(std::move(journal))
        , m_stop(std::move(stop))
        , m_client(m_options.worker)
        , m_clips(prompts() * m_grid.seeds.size() * m_grid.arms.size() *
                  static_cast<std::size_t>(m_grid.repeats)) {
        for (const Value& line : m_journal.lines())
            take(line);
        for (const Value& line : others)
            take(line);
    }

    Result<StudyOutcome> all() {
        if (auto done = m_options.readOnly ? Result<void>() : makeAll(); !done)
            return done.error();
        for (const auto& [prompt, followed] : m_drawn) {
            m_out.drawn.right += followed.right;
            m_out.drawn.asked += followed.asked;
        }
        return std::move(m_out);
    }

private:
    Result<void> makeAll() {
        m_client.start();
        m_startedAt = steadySeconds();
        for (std::size_t p = 0; p < m_grid.prompts.size(); ++p) {
            if (!isOwn(p))
                continue;
            if (auto done = drawn(p); !done)
                return done.error();
            for (std::size_t s = 0; s < m_grid.seeds.size(); ++s)
                if (auto done = cell(p, s); !done)
                    return done.error();
        }
        return {};
    }

    bool isMadeNow(std::size_t arm) const {
        const auto& only = m_options.only;
        return only.empty() || arm == m_grid.reference ||
               std::find(only.begin(), only.end(), arm) != only.end();
    }
    bool isOwn(std::size_t prompt) const {
        return prompt % static_cast<std::size_t>(m_options.parts) == static_cast<std::size_t>(m_options.part);
    }
    std::size_t prompts() const {
        std::size_t own = 0;
        for (std::size_t p = 0; p < m_grid.prompts.size(); ++p)
            own += isOwn(p) ? 1 : 0;
        return own;
    }

    using Place = std::tuple<std::size_t, std::size_t, std::size_t, int>;

    /// A line of a journal.
    void take(const Value& line) {
        if (line.contains("machine"))
            m_out.machine = line["machine"].asString();
        else if (line.contains("drawn"))
            m_drawn[static_cast<std::size_t>(line["drawn"].asInt())] = {
                static_cast<int>(line["right"].asInt()), static_cast<int>(line["asked"].asInt())};
        else if (StudyResult result = studyResultFromValue(line);
                 !has(result.prompt, result.seed, result.arm, result.repeat))
            keep(std::move(result));
    }

    void keep(StudyResult result) {
        m_places[{result.prompt, result.seed, result.arm, result.repeat}] = true;
        m_out.results.push_back(std::move(result));
    }
    bool has(std::size_t p, std::size_t s, std::size_t arm, int repeat) const {
        return m_places.contains({p, s, arm, repeat});
    }

    /// All arms of one prompt and seed.
    Result<void> cell(std::size_t p, std::size_t s) {
        std::optional<RawClip> reference;
        for (int repeat = 0; repeat < m_grid.repeats; ++repeat) {
            for (const std::size_t arm : order(p, s, repeat)) {
                if (has(p, s, arm, repeat) || !isMadeNow(arm))
                    continue;
                if (auto warm = warmUp(p); !warm)
                    return warm;
                if (arm != m_grid.reference && !reference) {
                    auto made = make(p, s, m_grid.reference); // lost with an earlier run
                    if (!made)
                        return made.error();
                    reference = std::move(made->clip);
                }
                if (auto done = clip(p, s, arm, repeat, reference); !done)
                    return done;
            }
        }
        return {};
    }

    /// The reference, then the others from another one on each time.
    std::vector<std::size_t> order(std::size_t p, std::size_t s, int repeat) const {
        std::vector<std::size_t> arms;
        for (std::size_t arm = 0; arm < m_grid.arms.size(); ++arm)
            if (arm != m_grid.reference)
                arms.push_back(arm);
        if (!arms.empty()) {
            const std::size_t turn =
                (p * m_grid.seeds.size() + s) * static_cast<std::size_t>(m_grid.repeats) +
                static_cast<std::size_t>(repeat);
            std::rotate(arms.begin(), arms.begin() + static_cast<std::ptrdiff_t>(turn % arms.size()),
                        arms.end());
        }
        arms.insert(arms.begin(), m_grid.reference);
        return arms;
    }

    /// Loads weights and warms caches up before anything is timed.
    Result<void> warmUp(std::size_t p) {
        if (std::exchange(m_isWarm, true))
            return {};
        auto made = make(p, 0, m_grid.reference);
        if (!made)
            return made.error();
        const GenerationRequest& r = made->request;
        m_out.machine = std::string(deviceName(r.device)) + ", " + std::to_string(r.threads) + " threads, " +
                        std::string(precisionName(r.precision)) + ", kernels " + r.kernelSet;
        return m_journal.add(Value{}.set("machine", m_out.machine));
    }

    Result<void> clip(std::size_t p, std::size_t s, std::size_t arm, int repeat,
                      std::optional<RawClip>& reference) {
        auto made = make(p, s, arm);
        if (!made)
            return made.error();
        StudyResult result;
        result.prompt = p;
        result.seed = s;
        result.arm = arm;
        result.repeat = repeat;
        result.denoiseSeconds = made->summary["denoise_seconds"].asDouble();
        result.decodeSeconds = made->summary["decode_seconds"].asDouble();
        for (const auto& [key, figure] : made->summary.asMap())
            if (figure.isNumber())
                result.summary.set(key, figure);
        fillFromStats(result, made->stats);
        fillFlop(result, *made, m_options.model);
        if (arm != m_grid.reference)
            if (auto filled = fillFidelity(result, *reference, made->clip, blockFrames(arm)); !filled)
                return filled;
        if (repeat == 0) {
            auto followed = follow(m_grid.prompts[p].questions, made->clip);
            if (!followed)
                return followed.error();
            result.followed = *followed;
        }
        if (auto added = m_journal.add(toValue(result)); !added)
            return added;
        keep(std::move(result));
        if (arm == m_grid.reference)
            reference = std::move(made->clip);
        tell(m_grid.arms[arm].name);
        return {};
    }

    /// Latent frames of a block, its own or the reference's; 0 = neither has blocks.
    int blockFrames(std::size_t arm) const {
        for (const std::size_t one : {arm, m_grid.reference}) {
            const ChunkSettings& chunks = m_grid.arms[one].request.chunks;
            if (chunks.mode == SamplingMode::Chunked)
                return chunks.blockFrames;
        }
        return 0;
    }

    Result<Made> make(std::size_t p, std::size_t s, std::size_t arm) {
        GenerationRequest request = m_grid.arms[arm].request;
        request.prompt = m_grid.prompts[p].prompt;
        request.seed = m_grid.seeds[s];
        Made made;
        std::optional<Error> unread;
        OneJob::Events events;
        events.blob = [&](const client::BlobPtr& blob) {
            if (blob->info.kind == "chunk_record") {
                if (auto part = chunkRecordFromBytes(blob->bytes))
                    append(made.chunks, std::move(*part));
                else
                    unread = part.error();
            } else if (blob->info.kind == "attention_stats") {
                CodecLimits limits;
                limits.maxBytes = limits.maxValues = std::size_t{1} << 30;
                if (auto stats = parseJson(std::string(blob->bytes.begin(), blob->bytes.end()), limits))
                    made.stats = std::move(*stats);
            } else if (blob->info.kind == "frame") {
                made.clip.width = blob->info.width;
                made.clip.height = blob->info.height;
                ++made.clip.frames;
                made.clip.rgb.insert(made.clip.rgb.end(), blob->bytes.begin(), blob->bytes.end());
            }
        };
        const std::string place = "The clip of prompt " + std::to_string(p + 1) + ", \"" +
                                  m_grid.arms[arm].name + "\", was not made: ";
        const auto outcome = run("generate", toValue(request), toValue(m_options.model), events);
        if (!outcome)
            return makeError(outcome.error().code, outcome.error().code == ErrorCode::Cancelled
                                                       ? outcome.error().message
                                                       : place + outcome.error().message);
        if (unread)
            return makeError(unread->code, place + unread->message);
        auto resolved = generationRequestFromValue(outcome->request);
        if (!resolved)
            return resolved.error();
        made.request = std::move(*resolved);
        made.clip.fps = made.request.fps;
        made.summary = outcome->summary;
        return made;
    }

    Result<void> drawn(std::size_t p) {
        const StudyPrompt& prompt = m_grid.prompts[p];
        if (prompt.drawn.empty() || prompt.questions.empty() || !m_options.qaModel || m_drawn.contains(p))
            return {};
        const GenerationRequest& reference = m_grid.arms[m_grid.reference].request;
        const auto clip = readRawClip(prompt.drawn, reference.width, reference.height, reference.fps);
        if (!clip)
            return clip.error();
        const auto followed = follow(prompt.questions, *clip);
        if (!followed)
            return followed.error();
        m_drawn[p] = **followed;
        Value line;
        line.set("drawn", static_cast<std::int64_t>(p));
        line.set("right", m_drawn[p].right).set("asked", m_drawn[p].asked);
        return m_journal.add(line);
    }

    Result<std::optional<Followed>> follow(const std::vector<QuestionRow>& questions, const RawClip& clip) {
        if (!m_options.qaModel || questions.empty())
            return std::optional<Followed>();
        struct Scratch {
            std::filesystem::path path;
            ~Scratch() { ::unlink(path.c_str()); }
        } const frames{m_options.folder / ("frames-" + std::to_string(::getpid()) + ".safetensors")};
        auto request = askAbout(clip, *m_options.qaModel, frames.path);
        if (!request)
            return request.error();
        // As many threads as the clips had: of runs beside each other none takes the whole machine.
        request->threads = m_grid.arms[m_grid.reference].request.threads;
        Followed followed;
        for (const QuestionRow& q : questions) {
            request->question = q.question;
            request->options = q.options;
            const auto outcome = run("ask", toValue(*request), toValue(*m_options.qaModel), {});
            if (!outcome)
                return outcome.error();
            const auto answer = answerFromValue(outcome->summary);
            if (!answer)
                return answer.error();
            followed.right += isRight(q, answer->text);
            ++followed.asked;
        }
        return std::optional(followed);
    }

    Result<client::JobOutcome> run(const char* kind, Value request, Value model,
                                   const OneJob::Events& events) {
        const auto stopped = makeError(ErrorCode::Cancelled, "Stopped; the same command goes on from here.");
        if (m_stop.stop_requested())
            return stopped;
        client::JobSubmission submission;
        submission.job = ++m_job;
        submission.kind = kind;
        submission.request = std::move(request);
        submission.model = std::move(model);
        submission.listener = m_listener;
        if (auto sent = m_client.submit(std::move(submission)); !sent)
            return sent.error();
        client::JobOutcome outcome = m_listener->wait(m_job, m_client, m_stop, events);
        if (outcome.end == client::JobEnd::Finished)
            return outcome;
        return outcome.end == client::JobEnd::Cancelled ? stopped : outcome.error;
    }

    void tell(const std::string& arm) {
        ++m_doneHere;
        if (!m_options.progress)
            return;
        StudyProgress p;
        p.done =
            static_cast<std::size_t>(std::count_if(m_out.results.begin(), m_out.results.end(),
                                                   [this](const StudyResult& r) { return isOwn(r.prompt); }));
        p.clips = m_clips;
        p.arm = arm;
        p.remainingSeconds = (steadySeconds() - m_startedAt) / static_cast<double>(m_doneHere) *
                             static_cast<double>(p.clips - p.done);
        m_options.progress(p);
    }

    const StudyOptions m_options;
    const StudyGrid& m_grid;
    LineJournal m_journal;
    const std::stop_token m_stop;
    const std::shared_ptr<OneJob> m_listener = std::make_shared<OneJob>();
    client::WorkerClient m_client;
    client::JobId m_job = 0;
    const std::size_t m_clips;
    StudyOutcome m_out;
    std::map<Place, bool> m_places;
    std::map<std::size_t, Followed> m_drawn; ///< by prompt
    bool m_isWarm = false;
    double m_startedAt = 0;
    std::size_t m_doneHere = 0;
};

} // namespace

Value toValue(const StudyResult& r) {
    Value v{Value::Map{}};
    v.set("prompt", static_cast<std::int64_t>(r.prompt)).set("seed", static_cast<std::int64_t>(r.seed));
    v.set("arm", static_cast<std::int64_t>(r.arm)).set("repeat", r.repeat);
    v.set("denoise_seconds", r.denoiseSeconds).set("decode_seconds", r.decodeSeconds);
    setOptional(v, "density", r.density);
    setOptional(v, "reused_share", r.reusedShare);
    setOptional(v, "estimate_seconds", r.estimateSeconds);
    setOptional(v, "attention_seconds", r.attentionSeconds);
    setOptional(v, "psnr", r.psnr);
    setOptional(v, "ssim", r.ssim);
    setOptional(v, "worst_psnr", r.worstPsnr);
    setOptional(v, "hit_rate", r.hitRate);
    setOptional(v, "flop", r.flop);
    setOptional(v, "flop_estimate", r.flopEstimate);
    if (!r.blockPsnr.empty())
        v.set("block_psnr", Value::Array(r.blockPsnr.begin(), r.blockPsnr.end()));
    if (r.followed)
        v.set("right", r.followed->right).set("asked", r.followed->asked);
    v.set("summary", r.summary);
    return v;
}

StudyResult studyResultFromValue(const Value& v) {
    StudyResult r;
    r.prompt = static_cast<std::size_t>(v["prompt"].asInt());
    r.seed = static_cast<std::size_t>(v["seed"].asInt());
    r.arm = static_cast<std::size_t>(v["arm"].asInt());
    r.repeat = static_cast<int>(v["repeat"].asInt());
    r.denoiseSeconds = v["denoise_seconds"].asDouble();
    r.decodeSeconds = v["decode_seconds"].asDouble();
    r.density = optionalOf(v, "density");
    r.reusedShare = optionalOf(v, "reused_share");
    r.estimateSeconds = optionalOf(v, "estimate_seconds");
    r.attentionSeconds = optionalOf(v, "attention_seconds");
    r.psnr = optionalOf(v, "psnr");
    r.ssim = optionalOf(v, "ssim");
    r.worstPsnr = optionalOf(v, "worst_psnr");
    r.hitRate = optionalOf(v, "hit_rate");
    r.flop = optionalOf(v, "flop");
    r.flopEstimate = optionalOf(v, "flop_estimate");
    for (const Value& block : v["block_psnr"].asArray())
        r.blockPsnr.push_back(block.asDouble());
    if (v.contains("asked"))
        r.followed = Followed{static_cast<int>(v["right"].asInt()), static_cast<int>(v["asked"].asInt())};
    r.summary = v["summary"];
    return r;
}

Result<StudyOutcome> runStudy(StudyOptions options, std::stop_token stop) {
    const Value head = headOf(options);
    const std::string name = options.parts > 1 ? "study-" + std::to_string(options.part + 1) + "-of-" +
                                                     std::to_string(options.parts) + ".jsonl"
                                               : std::string("study.jsonl");
    const std::string otherwise =
        "Results of another study, model or machine lie in the way; move them away or choose another --out";
    std::vector<Value> others; // of runs beside this one, which may still write
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator(options.folder, ec)) {
        const std::string file = entry.path().filename().string();
        if (file == name || !file.starts_with("study") || entry.path().extension() != ".jsonl")
            continue;
        auto lines = LineJournal::read(entry.path(), head, otherwise);
        if (!lines)
            return lines.error();
        others.insert(others.end(), lines->begin(), lines->end());
    }
    auto journal = LineJournal::open(options.folder / name, head, otherwise);
    if (!journal)
        return journal.error();
    options.worker.topics = {"attention_stats", "chunks"};
    return Run(std::move(options), std::move(*journal), others, std::move(stop)).all();
}

} // namespace canopy::evaluation
