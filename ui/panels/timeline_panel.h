#pragma once

#include <vector>

#include <QWidget>

class QLabel;
class QToolButton;

namespace canopy::ui {

class CacheSelection;
class ChunkTimelineView;
class ComboField;

/// The chunk timeline with what stands around it: the switch between takes above, the legend below.
class TimelinePanel : public QWidget {
    Q_OBJECT
public:
    explicit TimelinePanel(CacheSelection* selection, QWidget* parent = nullptr);

    ChunkTimelineView& view() { return *m_view; }
    struct TakeName {
        QString file;
        QString words; ///< "Take 2, from chunk 3"
    };
    /// The takes of the clip that is shown, and which of them it is; one alone shows no switch.
    void setTakes(const std::vector<TakeName>& takes, int current);
    void setCompact(bool compact); ///< little height: the drift row folds
    QWidget* focusTarget() const;

Q_SIGNALS:
    void takeChosen(const QString& file);
    void menuRequested(int chunk, const QPoint& global);

private:
    void step(int by);

    ChunkTimelineView* m_view;
    QWidget* m_takesRow;
    ComboField* m_takes;
    QToolButton* m_before;
    QToolButton* m_after;
    bool m_setting = false;
};

} // namespace canopy::ui
