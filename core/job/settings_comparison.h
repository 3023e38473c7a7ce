#pragma once

#include <string>
#include <vector>

#include "core/job/generation_request.h"

namespace canopy {

/// Whether the settings save work at the price of other pixels: anything but dense attention; for a clip made
/// in blocks also steps that are reused, keys that are squeezed or forgotten, and finished keys that stay as
/// they were written. Blocks themselves are another way of sampling and no saving.
bool isAccelerated(const GenerationRequest& request);

/// The same clip without any saving: the reference that an accelerated clip is compared with. What the worker
/// resolves anew (kernels) and what is never stored is emptied.
GenerationRequest denseTwin(GenerationRequest request);

/// Equal in all that decides what the clip shows (model, prompt, size, length, noise, steps, guidance,
/// sampler, first image), whatever saves work and however numbers are rounded.
bool isSameShot(const GenerationRequest& a, const GenerationRequest& b);

/// The same dense clip rounded in another way: only precision, threads, device or kernels differ. How far two
/// such clips lie apart is the noise floor below which a difference means nothing.
bool isRounding(const GenerationRequest& a, const GenerationRequest& b);

/// A dense request whose sums are rounded in another way: the other number format.
GenerationRequest roundedTwin(const GenerationRequest& dense);

/// One setting in which two clips differ, in the words of the form.
struct SettingDifference {
    std::string label;
    std::string a;
    std::string b;
    bool operator==(const SettingDifference&) const = default;
};

struct SettingsComparison {
    std::vector<SettingDifference> differences;
    std::vector<std::string> equal; ///< labels of what decides the picture and is the same
};

/// Settings that one of them does not use ("mask reuse" of dense attention) read "none" there.
SettingsComparison compareSettings(const GenerationRequest& a, const GenerationRequest& b);

} // namespace canopy
