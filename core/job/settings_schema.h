#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/model_config.h"
#include "core/job/generation_request.h"

namespace canopy {

/// One row of the table that drives the form, the command line's help and the checks.
struct SettingInfo {
    std::string_view key;   ///< as in the request map and, with dashes, on the command line
    std::string_view label; ///< sentence case, no colon
    std::string_view help;  ///< one sentence: what it does and what more of it means
    double minimum = 0;     ///< numbers only
    double maximum = 0;
    double step = 0;
    bool simple = false; ///< shown in Simple mode
};

std::span<const SettingInfo> settingsSchema();
const SettingInfo* findSetting(std::string_view key);

/// Fills zero or negative "model default" fields from the model's record; an empty negative prompt becomes
/// the model's (a single space asks for none).
GenerationRequest withModelDefaults(GenerationRequest request, const ModelDefaults& defaults);

/// All that is wrong with a request for this model, one sentence each; empty = it can start.
/// Sizes must be multiples of 16 (VAE 8 x patch 2), frames 4k + 1.
std::vector<std::string> checkRequest(const GenerationRequest& request, const ModelRecord& model);

} // namespace canopy
