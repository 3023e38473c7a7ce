#include "core/studio/run_telemetry.h"

#include <algorithm>
#include <utility>

#include "core/base/value_codec.h"

namespace canopy {

namespace {

/// A layer of heads at many blocks is larger than ordinary messages.
constexpr CodecLimits kMaskLimits{std::size_t{32} << 20, 32, std::size_t{1} << 20, std::size_t{16} << 20};

} // namespace

int RunTelemetry::missingSteps() const {
    return steps.empty() ? 0 : steps.back()->step + 1 - static_cast<int>(steps.size());
}

const AttentionStep* RunTelemetry::step(int index) const {
    const auto it = std::lower_bound(steps.begin(), steps.end(), index,
                                     [](const StepPtr& s, int wanted) { return s->step < wanted; });
    return it != steps.end() && (*it)->step == index ? it->get() : nullptr;
}

const AttentionRecord* RunTelemetry::call(int index, int layer, GuidanceBranch branch) const {
    const AttentionStep* of = step(index);
    if (!of)
        return nullptr;
    const auto it = std::find_if(of->calls.begin(), of->calls.end(), [&](const AttentionRecord& r) {
        return r.layer == layer && r.branch == branch;
    });
    return it == of->calls.end() ? nullptr : &*it;
}

const BlockBitmap* RunTelemetry::mask(int index, int layer, int head, GuidanceBranch branch) const {
    for (auto it = masks.rbegin(); it != masks.rend(); ++it)
        for (const BlockBitmap& b : **it)
            if (b.step == index && b.layer == layer && b.head == head && b.branch == branch)
                return &b;
    return nullptr;
}

const BlockBitmap* RunTelemetry::maskBefore(int index, int layer, int head, GuidanceBranch branch) const {
    const AttentionRecord* now = call(index, layer, branch);
    if (!now || static_cast<std::size_t>(head) >= now->heads.size())
        return nullptr;
    for (int earlier = now->heads[static_cast<std::size_t>(head)].chosenAt - 1; earlier >= 0; --earlier)
        if (const BlockBitmap* found = mask(earlier, layer, head, branch))
            return found;
    return nullptr;
}

void TelemetryLog::begin(JobId job) {
    m_run = {};
    m_chunks = {};
    m_run.job = job;
    m_maskBytes = 0;
    m_current.reset();
}

void TelemetryLog::resolved(const GenerationRequest& request) {
    m_run.request = request;
    m_current.reset();
}

void TelemetryLog::step(const Value& value) {
    m_current.reset();
    auto read = attentionStepFromValue(value);
    // A row that was cancelled and run again comes twice; later ones only after earlier ones.
    if (!read || (!m_run.steps.empty() && read->step < m_run.steps.back()->step)) {
        ++m_run.unreadable;
        return;
    }
    if (!m_run.steps.empty() && read->step == m_run.steps.back()->step)
        m_run.steps.pop_back();
    m_run.steps.push_back(std::make_shared<const AttentionStep>(std::move(*read)));
}

void TelemetryLog::masks(const std::vector<std::uint8_t>& cbor) {
    m_current.reset();
    const auto value = parseCbor(cbor, kMaskLimits);
    auto read = value ? blockBitmapsFromValue(*value) : Result<std::vector<BlockBitmap>>(value.error());
    if (!read || read->empty()) {
        ++m_run.unreadable;
        return;
    }
    const auto bytesOf = [](const std::vector<BlockBitmap>& maps) {
        std::size_t bytes = 0;
        for (const BlockBitmap& map : maps)
            bytes += sizeof(map) + map.bits.size();
        return bytes;
    };
    m_maskBytes += bytesOf(*read);
    m_run.masks.push_back(std::make_shared<const std::vector<BlockBitmap>>(std::move(*read)));
    while (m_maskBytes > kMostMaskBytes && m_run.masks.size() > 1) {
        m_maskBytes -= bytesOf(*m_run.masks.front());
        m_run.masksDropped += m_run.masks.front()->size();
        m_run.masks.pop_front();
    }
}

void TelemetryLog::preview(std::shared_ptr<const PreviewImage> preview) {
    if (preview == m_run.preview)
        return;
    m_run.preview = std::move(preview);
    m_current.reset();
}

void TelemetryLog::chunks(ChunkRecord part) {
    append(m_chunks, std::move(part));
    m_current.reset();
}

void TelemetryLog::ended() {
    if (m_run.ended)
        return;
    m_run.ended = true;
    m_current.reset();
}

std::shared_ptr<const RunTelemetry> TelemetryLog::current() const {
    if (!m_current && m_run.job != 0) {
        auto run = std::make_shared<RunTelemetry>(m_run);
        if (m_chunks.run)
            run->chunks = std::make_shared<const ChunkRecord>(m_chunks);
        m_current = std::move(run);
    }
    return m_current;
}

} // namespace canopy
