#pragma once

#include <algorithm>
#include <memory>

#include "core/base/value_codec.h"
#include "core/studio/run_telemetry.h"

/// A hand-made run for the tests of Inspect: arithmetically consistent, from no model.
namespace canopy::ui::test {

inline constexpr int kLayers = 7, kHeads = 6, kSteps = 12;

/// 9 latent frames of 12 x 20 tokens: 17 blocks. One dense step; each head drifts and chooses anew after
/// every third step.
inline std::shared_ptr<const RunTelemetry> madeTelemetry(int steps = 8, bool ended = false) {
    TelemetryLog log;
    log.begin(3);
    GenerationRequest request;
    request.width = 320;
    request.height = 192;
    request.frames = 33;
    request.steps = kSteps;
    request.attention.method = AttentionMethod::XAttention;
    request.attention.reuse = MaskReuse::Tmr;
    request.attention.delta = 10;
    request.attention.warmup = 1;
    log.resolved(request);
    for (int s = 0; s < steps; ++s) {
        AttentionStep step{s, kSteps, s == 0 ? 2.0 : 1.2, {}};
        for (const auto branch : {GuidanceBranch::Prompt, GuidanceBranch::Negative})
            for (int l = 0; l < kLayers; ++l) {
                AttentionRecord r;
                r.step = s;
                r.layer = l;
                r.branch = branch;
                r.headCount = kHeads;
                r.mode = s == 0 ? AttentionRecord::Mode::Warmup : AttentionRecord::Mode::Sparse;
                r.attentionSeconds = s == 0 ? 0.1 : 0.04;
                r.estimateSeconds = s == 0 ? 0 : 0.003;
                for (int h = 0; s > 0 && h < kHeads; ++h) {
                    const int age = (s + h) % 3 == 0 || s == 1 ? 0 : std::min(s - 1, (s + h) % 3);
                    r.heads.push_back({0.2 + 0.05 * ((l + h) % 8),
                                       s == 1     ? RefreshReason::First
                                       : age == 0 ? RefreshReason::Drift
                                                  : RefreshReason::Reused,
                                       age == 0 ? (s == 1 ? 0 : 11.0) : 4.0 * age, 0.01 * age, s - age});
                }
                step.calls.push_back(std::move(r));
            }
        log.step(toValue(step));
        if (s == 0)
            continue;
        std::vector<BlockBitmap> maps;
        for (int h = 0; h < kHeads; ++h) {
            BlockBitmap map = emptyBitmap(17);
            map.step = s;
            map.layer = 2;
            map.head = h;
            for (int q = 0; q < 17; ++q) {
                map.keep(q, q);
                map.keep(q, 0);
                map.keep(q, (q * 3 + step.calls[2].heads[std::size_t(h)].chosenAt) % 17);
            }
            maps.push_back(std::move(map));
        }
        log.masks(toCbor(toValue(maps)));
    }
    auto preview = std::make_shared<PreviewImage>();
    *preview = {3, steps, 40, 24, 9, {}};
    for (int f = 0; f < 9; ++f)
        for (int y = 0; y < 24; ++y)
            for (int x = 0; x < 40; ++x)
                preview->rgb.insert(preview->rgb.end(),
                                    {std::uint8_t(60 + f * 15), std::uint8_t(y * 8), std::uint8_t(x * 5)});
    log.preview(std::move(preview));
    if (ended)
        log.ended();
    return log.current();
}

} // namespace canopy::ui::test
