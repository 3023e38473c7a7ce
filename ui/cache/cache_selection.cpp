#include "ui/cache/cache_selection.h"

#include <algorithm>

#include <QLocale>

namespace canopy::ui {

QString stateWord(CacheState state) {
    switch (state) {
    case CacheState::Computed:
        return CacheSelection::tr("computed");
    case CacheState::Reused:
        return CacheSelection::tr("reused");
    case CacheState::Forced:
        return CacheSelection::tr("forced");
    case CacheState::NotRun:
        break;
    }
    return CacheSelection::tr("not run");
}

QString reasonWord(CacheReason reason) {
    switch (reason) {
    case CacheReason::Threshold:
        return CacheSelection::tr("change against the threshold");
    case CacheReason::WarmUp:
        return CacheSelection::tr("warm-up");
    case CacheReason::Forced:
        return CacheSelection::tr("forced by hand or as an end of the schedule");
    case CacheReason::First:
        return CacheSelection::tr("nothing to reuse yet");
    case CacheReason::None:
        break;
    }
    return {};
}

CacheSelection::CacheSelection(QObject* parent)
    : QObject(parent)
    , m_scene(std::make_shared<const CacheScene>()) {}

void CacheSelection::setScene(ScenePtr scene) {
    m_scene = scene ? std::move(scene) : std::make_shared<const CacheScene>();
    const bool inside = m_chunk < m_scene->chunkCount() && m_step < m_scene->steps;
    if (!m_chosen || !inside)
        followNewest();
    Q_EMIT sceneChanged();
}

void CacheSelection::setEmptyWords(const QString& words) {
    if (words == m_emptyWords)
        return;
    m_emptyWords = words;
    if (m_scene->isEmpty())
        Q_EMIT sceneChanged();
}

void CacheSelection::followNewest() {
    m_chosen = false;
    m_chunk = m_step = 0;
    int newest = -1;
    for (int c = 0; c < m_scene->chunkCount(); ++c)
        for (int s = 0; s < m_scene->steps; ++s)
            if (const int row = m_scene->cell(c, s).row; row > newest) {
                newest = row;
                m_chunk = c;
                m_step = s;
            }
}

void CacheSelection::select(int chunk, int step) {
    if (m_scene->isEmpty())
        return;
    m_chosen = true;
    chunk = std::clamp(chunk, 0, m_scene->chunkCount() - 1);
    step = std::clamp(step, 0, m_scene->steps - 1);
    if (chunk != m_chunk || step != m_step) {
        m_chunk = chunk;
        m_step = step;
        Q_EMIT cellChanged();
    }
    Q_EMIT hovered(words(chunk, step));
}

const CacheCell* CacheSelection::cell() const {
    return m_scene->isEmpty() ? nullptr : &m_scene->cell(m_chunk, m_step);
}

void CacheSelection::setFrame(int frame) {
    if (frame == m_frame)
        return;
    m_frame = frame;
    Q_EMIT frameChanged();
}

QString CacheSelection::words(int chunk, int step) const {
    if (m_scene->isEmpty())
        return {};
    const auto& cell = m_scene->cell(chunk, step);
    QString text = tr("chunk %1, step %2: %3").arg(chunk + 1).arg(step).arg(stateWord(cell.state));
    if (cell.reason != CacheReason::None && cell.reason != CacheReason::Threshold)
        text += tr(" (%1)").arg(reasonWord(cell.reason));
    if (cell.change && m_scene->threshold > 0)
        text += tr(", change %1, accumulated %2 of %3")
                    .arg(QLocale().toString(*cell.change, 'f', 4), QLocale().toString(cell.reached(), 'f', 4),
                         QLocale().toString(m_scene->threshold, 'f', 4));
    return text;
}

} // namespace canopy::ui
