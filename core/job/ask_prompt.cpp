#include "core/job/ask_prompt.h"

#include <cstdio>

namespace canopy {
namespace {

constexpr const char* kTurnStart = "<|im_start|>";
constexpr const char* kTurnEnd = "<|im_end|>";

std::string twoDecimals(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}

/// Literal, without a space before "Please": as LLaVA-Video was trained.
std::string timeInstruction(const AskRequest& request) {
    std::string text = "The video lasts for " + twoDecimals(request.videoSeconds) + " seconds, and " +
                       std::to_string(request.frameSeconds.size()) +
                       " frames are uniformly sampled from it. These frames are located at ";
    for (std::size_t i = 0; i < request.frameSeconds.size(); ++i)
        text += (i ? "," : "") + twoDecimals(request.frameSeconds[i]) + "s";
    return text + ".Please answer the following questions related to this video.";
}

std::string questionText(const AskRequest& request) {
    std::string text = request.question;
    for (std::size_t i = 0; i < request.options.size(); ++i)
        text += "\n" + optionLetter(static_cast<int>(i)) + ". " + request.options[i];
    if (!request.options.empty())
        text += "\nPlease answer directly with only the letter of the correct option and nothing else.";
    return text;
}

/// End of a turn and start of the next one: neighbouring words become one stretch, because tokens may span
/// what is joined here.
class Writer {
public:
    void words(const std::string& text) {
        if (m_pieces.empty() || m_pieces.back().marker)
            m_pieces.push_back({text, false});
        else
            m_pieces.back().text += text;
    }
    void marker(const char* text) { m_pieces.push_back({text, true}); }
    void nextTurn(const char* role) {
        marker(kTurnEnd);
        words("\n");
        marker(kTurnStart);
        words(std::string(role) + "\n");
    }
    std::vector<PromptPiece> take() { return std::move(m_pieces); }

private:
    std::vector<PromptPiece> m_pieces;
};

} // namespace

std::string optionLetter(int option) {
    return std::string(1, static_cast<char>('A' + option));
}

AskPrompt askPrompt(const AskRequest& request) {
    AskPrompt prompt;
    Writer before;
    before.marker(kTurnStart);
    before.words("system\nYou are a helpful assistant.");
    before.nextTurn("user");
    prompt.before = before.take();

    Writer after;
    after.words("\n");
    if (request.timeInstruction.value_or(false))
        after.words(timeInstruction(request) + "\n");
    for (const auto& turn : request.history) {
        after.words(turn.question);
        after.nextTurn("assistant");
        after.words(turn.answer);
        after.nextTurn("user");
    }
    after.words(questionText(request));
    after.nextTurn("assistant");
    prompt.after = after.take();
    return prompt;
}

} // namespace canopy
