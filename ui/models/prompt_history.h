#pragma once

#include <QString>
#include <QStringList>

namespace canopy::ui {

/// Prompts that were generated, newest last, each once; at most 200. Walking keeps the text that was being
/// typed.
class PromptHistory {
public:
    explicit PromptHistory(QStringList prompts = {});

    void add(const QString& prompt);
    /// Older (-1) or newer (+1) than what is shown; `typed` is the field's text and comes back at the newest
    /// end.
    QString walk(int direction, const QString& typed);
    const QStringList& prompts() const { return m_prompts; }

private:
    QStringList m_prompts;
    qsizetype m_at = 0; ///< m_prompts.size() = the typed text
    QString m_typed;
};

} // namespace canopy::ui
