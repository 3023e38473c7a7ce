#include "ui/models/prompt_history.h"

#include <algorithm>

namespace canopy::ui {
namespace {

constexpr qsizetype kMaxPrompts = 200;

} // namespace

PromptHistory::PromptHistory(QStringList prompts)
    : m_prompts(std::move(prompts))
    , m_at(m_prompts.size()) {}

void PromptHistory::add(const QString& prompt) {
    if (prompt.trimmed().isEmpty())
        return;
    m_prompts.removeAll(prompt);
    m_prompts.append(prompt);
    if (m_prompts.size() > kMaxPrompts)
        m_prompts.removeFirst();
    m_at = m_prompts.size();
}

QString PromptHistory::walk(int direction, const QString& typed) {
    if (m_at >= m_prompts.size() || m_prompts[m_at] != typed) { // edited since: a new text at the newest end
        m_typed = typed;
        m_at = m_prompts.size();
        if (direction < 0 && !m_prompts.isEmpty() && m_prompts.back() == typed)
            --m_at; // already the newest entry: one step must show another text
    }
    m_at = std::clamp<qsizetype>(m_at + direction, 0, m_prompts.size());
    return m_at < m_prompts.size() ? m_prompts[m_at] : m_typed;
}

} // namespace canopy::ui
