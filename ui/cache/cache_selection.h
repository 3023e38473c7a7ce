#pragma once

#include <memory>

#include <QObject>
#include <QString>

#include "ui/cache/cache_scene.h"

namespace canopy::ui {

/// The run that the cache views show, and what is chosen in it: one step of one chunk, and the clip's frame
/// under the playhead. All views share one. GUI thread.
class CacheSelection : public QObject {
    Q_OBJECT
public:
    using ScenePtr = std::shared_ptr<const CacheScene>;

    explicit CacheSelection(QObject* parent = nullptr);

    /// A newer state of the same run keeps the chosen step; where it is gone, the newest step is chosen.
    void setScene(ScenePtr scene);
    const CacheScene& scene() const { return *m_scene; }
    ScenePtr scenePtr() const { return m_scene; }

    /// What a view says while there is no run.
    void setEmptyWords(const QString& words);
    const QString& emptyWords() const { return m_emptyWords; }

    void select(int chunk, int step); ///< clamped
    int chunk() const { return m_chunk; }
    int step() const { return m_step; }
    /// The chosen step; nothing without a run.
    const CacheCell* cell() const;

    void setFrame(int frame); ///< -1 = no clip is shown
    int frame() const { return m_frame; }

    /// "chunk 3, step 16: computed, change 0.012, accumulated 0.084 of 0.080"
    QString words(int chunk, int step) const;

Q_SIGNALS:
    void sceneChanged();
    void cellChanged();
    void frameChanged();
    void seekRequested(int frame);
    /// The cell was confirmed by Enter or a double click.
    void opened(int chunk, int step);
    void hovered(const QString& words);

private:
    ScenePtr m_scene;
    QString m_emptyWords;
    int m_chunk = 0;
    int m_step = 0;
    int m_frame = -1;
    bool m_chosen = false; ///< by the person; until then the newest step is followed
    void followNewest();
};

QString stateWord(CacheState state);
QString reasonWord(CacheReason reason);

} // namespace canopy::ui
