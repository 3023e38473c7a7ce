#pragma once

#include <string>
#include <vector>

#include "core/job/ask_request.h"

namespace canopy {

/// A stretch of the language model's input text: a marker of the chat format ("<|im_start|>", one token), or
/// words, in which markers are only letters: a question must not be able to end its own turn.
struct PromptPiece {
    std::string text;
    bool marker = false;
    bool operator==(const PromptPiece&) const = default;
};

/// The text around the video, tokenised on either side of it by itself. token-forest.md 1.7.
struct AskPrompt {
    std::vector<PromptPiece> before; ///< system block and the start of the first turn
    std::vector<PromptPiece> after;  ///< line break, question, further turns, start of the answer
};

/// Qwen chat format with the default system block; earlier turns first, the video before the first of them.
/// With options the question is followed by one line "A. text" each and the sentence that asks for a letter.
/// The time instruction stands between video and first question where request.timeInstruction is set; it
/// needs frameSeconds and videoSeconds.
AskPrompt askPrompt(const AskRequest& request);

/// "A" for 0 up to "Z" for 25.
std::string optionLetter(int option);

} // namespace canopy
