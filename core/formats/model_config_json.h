#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/model_config.h"

namespace canopy {

// Published configuration files. A closed set of keys is read, everything else is ignored; nothing in a file
// selects code, a path or an address. What comes back has passed checkConfig().

/// A JSON file of at most 1 MiB and 32 levels.
Result<Value> readConfigFile(const std::filesystem::path& path);

/// WanTransformer3DModel or SkyReelsV2Transformer3DModel of diffusers. Image-to-video models are recognised
/// and refused.
Result<DitConfig> parseDitConfig(const Value& json);
/// AutoencoderKLWan of diffusers.
Result<VaeConfig> parseVaeConfig(const Value& json);
/// A umt5 config of transformers.
Result<Umt5Config> parseUmt5Config(const Value& json);
/// `canopy.json`, version 1: every key is known and has its type, or the file is refused.
Result<ModelDefaults> parseModelDefaults(const Value& json);

} // namespace canopy
