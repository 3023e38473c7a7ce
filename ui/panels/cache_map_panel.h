#pragma once

#include <QWidget>

#include "ui/cache/cache_selection.h"

class QLabel;
class QToolButton;

namespace canopy::ui {

class CacheMapView;
class ElidedLabel;

/// Of the cache page: what was computed and what reused, aligned with the clip's frames, and the
/// accumulated change that decided it. Shows the run of its selection; owns none of it.
class CacheMapPanel : public QWidget {
    Q_OBJECT
public:
    explicit CacheMapPanel(CacheSelection* selection, QWidget* parent = nullptr);
    QWidget* focusTarget() const;

Q_SIGNALS:
    void tableRequested();
    void exportRequested(bool npz); ///< false: CSV

private:
    QWidget* buildHeader();
    void showScene();
    void showCell();

    CacheSelection* m_selection;
    QLabel* m_policy;
    QToolButton* m_table;
    QToolButton* m_export;
    CacheMapView* m_map;
    ElidedLabel* m_changeOf;
};

} // namespace canopy::ui
