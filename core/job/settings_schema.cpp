#include "core/job/settings_schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <utility>

#include "core/job/chunk_layout.h"

namespace canopy {
namespace {

constexpr std::size_t kMaxPromptBytes = 64 * 1024;
constexpr double kMaxSeed =
    9223372036854775807.0; // 2^63 - 1: what a signed 64-bit column and CBOR reader hold

// Ranges are what the form offers and what is accepted; a model's trained range is narrower and only advised.
constexpr std::array kSchema = {
    SettingInfo{"prompt", "Prompt", "What the clip shows, in a sentence or two.", 0, 0, 0, true},
    SettingInfo{"negative", "Negative prompt", "What the clip should not show. Empty uses the model's own.",
                0, 0, 0, false},
    SettingInfo{"model", "Model", "Which model makes the clip.", 0, 0, 0, true},
    SettingInfo{"image", "First image", "A picture the clip starts from; cropped to the clip's shape.", 0, 0,
                0, true},
    SettingInfo{"width", "Width", "Pixels across. More shows finer detail and takes longer.", 64, 4096, 16,
                true},
    SettingInfo{"height", "Height", "Pixels down. More shows finer detail and takes longer.", 64, 2304, 16,
                true},
    SettingInfo{"frames", "Length",
                "Pictures in the clip. More makes it longer and takes more time and memory.", 1, 1025, 4,
                true},
    SettingInfo{"fps", "Frames per second", "How fast the pictures follow each other.", 1, 120, 1, false},
    SettingInfo{"steps", "Steps", "How often the picture is refined. More is cleaner and slower.", 1, 200, 1,
                false},
    SettingInfo{"guidance", "Guidance",
                "How strictly the prompt is followed. Too much looks harsh; 1 is off and twice as fast.", 1,
                30, 0.5, false},
    SettingInfo{"shift", "Shift", "How long the steps stay with the large shapes. More suits larger sizes.",
                0.1, 30, 0.5, false},
    SettingInfo{"seed", "Seed",
                "The number the noise is drawn from. The same seed and settings give the same clip.", 0,
                kMaxSeed, 1, true},
    SettingInfo{"sampler", "Sampler", "How a step is taken. UniPC needs fewer steps than Euler.", 0, 0, 0,
                false},
    SettingInfo{"time_grid", "Time grid",
                "Where the steps lie: as the original programs or as diffusers place them.", 0, 0, 0, false},
    SettingInfo{"precision", "Precision",
                "Number format of the calculation. Auto takes the fastest safe one.", 0, 0, 0, false},
    SettingInfo{"device", "Device", "Where the calculation runs.", 0, 0, 0, false},
    SettingInfo{"threads", "Threads", "Processor threads used. 0 takes all.", 0, 1024, 1, false},
    SettingInfo{"vae_tiling", "Tiled decoding", "Decodes the picture in parts: less memory, a little slower.",
                0, 0, 0, false},
    SettingInfo{"memory", "Memory limit", "Gigabytes a job may plan to use. 0 takes what is free.", 0, 4096,
                1, false},
};

bool isValidUtf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned char lead = byte(i);
        const int extra = lead < 0x80   ? 0
                          : lead < 0xC2 ? -1
                          : lead < 0xE0 ? 1
                          : lead < 0xF0 ? 2
                          : lead < 0xF5 ? 3
                                        : -1;
        if (extra < 0 || i + static_cast<std::size_t>(extra) >= text.size())
            return false;
        std::uint32_t code = extra == 0 ? lead : lead & (0x3Fu >> extra);
        for (int k = 1; k <= extra; ++k) {
            const unsigned char next = byte(i + static_cast<std::size_t>(k));
            if ((next & 0xC0) != 0x80)
                return false;
            code = code << 6 | (next & 0x3Fu);
        }
        const bool tooLong = (extra == 2 && code < 0x800) || (extra == 3 && code < 0x10000);
        if (tooLong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF)
            return false;
        i += static_cast<std::size_t>(extra) + 1;
    }
    return true;
}

std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", v);
    return text;
}

class Checker {
public:
    void add(std::string sentence) { m_problems.push_back(std::move(sentence)); }

    bool range(std::string_view key, double value) {
        const SettingInfo* info = findSetting(key);
        if (value >= info->minimum && value <= info->maximum)
            return true;
        add(std::string(info->label) + " is " + number(value) + "; choose a value from " +
            number(info->minimum) + " to " + number(info->maximum) + ".");
        return false;
    }
    void text(std::string_view key, std::string_view value) {
        const std::string label(findSetting(key)->label);
        if (value.size() > kMaxPromptBytes)
            add(label + " is " + std::to_string(value.size()) + " bytes long; at most " +
                std::to_string(kMaxPromptBytes) + " are read. Shorten it.");
        else if (!isValidUtf8(value))
            add(label + " is not valid UTF-8 text; copy it again from its source.");
    }
    std::vector<std::string> take() { return std::move(m_problems); }

private:
    std::vector<std::string> m_problems;
};

void checkHeadTauSize(const AttentionSettings& s, const DitConfig& dit, Checker& check) {
    if (s.headTau.empty())
        return;
    const auto heads = static_cast<std::size_t>(dit.heads);
    if (s.headTau.size() == static_cast<std::size_t>(dit.layers) &&
        std::all_of(s.headTau.begin(), s.headTau.end(),
                    [&](const auto& layer) { return layer.size() == heads; }))
        return;
    check.add("The thresholds per head are not of this model's size (" + std::to_string(dit.layers) +
              " layers of " + std::to_string(dit.heads) +
              " heads); make them anew for it with 'canopy-cli calibrate'.");
}

} // namespace

std::span<const SettingInfo> settingsSchema() {
    return kSchema;
}

const SettingInfo* findSetting(std::string_view key) {
    for (const SettingInfo& info : kSchema)
        if (info.key == key)
            return &info;
    return nullptr;
}

GenerationRequest withModelDefaults(GenerationRequest r, const ModelDefaults& d) {
    if ((r.width <= 0 || r.height <= 0) && !d.sizes.empty()) {
        r.width = d.sizes.front()[0];
        r.height = d.sizes.front()[1];
    }
    if (r.frames <= 0)
        r.frames = d.framesDefault;
    if (r.fps <= 0)
        r.fps = d.fps;
    if (r.steps <= 0)
        r.steps = d.steps;
    if (r.guidance < 0)
        r.guidance = d.guidance;
    if (r.shift < 0)
        r.shift = d.shift;
    if (r.negativePrompt.empty())
        r.negativePrompt = d.negativePrompt;
    r.chunks = withChunkDefaults(std::move(r.chunks), d, r.steps);
    r.attention = withAttentionDefaults(r.attention, videoTokens(r), r.steps);
    return r;
}

std::vector<std::string> checkRequest(const GenerationRequest& r, const ModelRecord& model) {
    Checker check;
    for (const std::string& sentence : model.missing)
        check.add(sentence);

    if (r.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
        check.add("The prompt is empty; write what the clip should show.");
    check.text("prompt", r.prompt);
    check.text("negative", r.negativePrompt);

    for (const auto& [key, value] : {std::pair{"width", r.width}, std::pair{"height", r.height}})
        if (check.range(key, value) && value % 16 != 0)
            check.add(std::string(findSetting(key)->label) + " is " + std::to_string(value) +
                      "; it must be a multiple of 16, such as " + std::to_string((value + 8) / 16 * 16) +
                      ".");
    if (check.range("frames", r.frames) && r.frames % 4 != 1)
        check.add("Length is " + std::to_string(r.frames) +
                  " frames; it must be 1 more than a multiple of 4, such as " +
                  std::to_string((r.frames + 1) / 4 * 4 + 1) + ".");
    check.range("fps", r.fps);
    check.range("steps", r.steps);
    check.range("guidance", r.guidance);
    check.range("shift", r.shift);
    if (r.seed > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        check.add("Seed is " + std::to_string(r.seed) + "; choose a value from 0 to 9223372036854775807.");
    check.range("threads", r.threads);
    check.range("memory", r.memoryBudgetGb);
    for (const std::string& sentence : checkAttention(r.attention, videoTokens(r), r.steps))
        check.add(sentence);
    checkHeadTauSize(r.attention, model.dit, check);
    for (const std::string& sentence : checkChunks(r, model))
        check.add(sentence);
    if (r.noiseScheme != "torch-cpu-1")
        check.add("The noise scheme \"" + r.noiseScheme +
                  "\" is not known to this version; expected \"torch-cpu-1\". A newer Canopy may know it.");
    if (!r.imagePath.empty() && model.family != ModelFamily::SkyReelsDf)
        check.add("A first image was given, but this model makes clips from text only; take the image out or "
                  "choose a "
                  "diffusion-forcing model.");
    return check.take();
}

} // namespace canopy
