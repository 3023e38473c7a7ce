#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace canopy {

/// A prompt is refused above this many bytes.
inline constexpr std::size_t kMaxPromptBytes = std::size_t{64} << 10;

/// Refuses more than 64 KiB and bytes that are no UTF-8, each with a sentence.
Result<void> checkPrompt(std::string_view text);

/// The text that Wan's reference pipeline hands to its tokenizer: HTML entities undone, quotes straightened,
/// Latin ligatures, full and half width forms spelled out, terminal escapes and control characters removed,
/// composed (NFC), runs of white space made one space. Repair of mis-decoded text is not done. Linear in the
/// length.
Result<std::string> cleanPrompt(std::string_view text);

} // namespace canopy
