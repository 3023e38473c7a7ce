#pragma once

#include <QWidget>

#include "ui/cache/cache_selection.h"

namespace canopy::ui {

class CacheFactsPanel;
class CacheMapPanel;

/// The cache page of Inspect: map and accumulated change, beside them the chosen step, the memory of keys and
/// what was saved. The column of figures scrolls where it has no room.
class CachePage : public QWidget {
    Q_OBJECT
public:
    explicit CachePage(CacheSelection* selection, QWidget* parent = nullptr);
    QWidget* focusTarget() const;

Q_SIGNALS:
    void tableRequested();
    void exportRequested(bool npz); ///< false: CSV

private:
    CacheMapPanel* m_map;
    CacheFactsPanel* m_facts;
};

} // namespace canopy::ui
