#pragma once

#include <array>

#include <QWidget>

#include "ui/cache/cache_selection.h"

class QLabel;

namespace canopy::ui {

class ElidedLabel;
class SavingBar;

/// Of the cache page: the chosen step in figures, keys in memory, kept keys, and what the run
/// saved beside its measured time. Shows the run of its selection; owns none of it.
class CacheFactsPanel : public QWidget {
    Q_OBJECT
public:
    explicit CacheFactsPanel(CacheSelection* selection, QWidget* parent = nullptr);
    QWidget* focusTarget() const;

private:
    enum Fact { State, Change, Accumulated, Row, Time, OwnTokens, Context, Seconds };
    enum Sum { Dense, Reuse, Squeeze, Measured, Model, HitRate, Flop, Between };

    QWidget* buildFacts();
    QWidget* buildTotals();
    void showScene();
    void showCell();
    void showTotals();

    CacheSelection* m_selection;
    QLabel* m_cellTitle;
    std::array<QLabel*, 8> m_facts{};
    QWidget* m_memory;
    ElidedLabel* m_keptNote;
    QLabel* m_why;
    SavingBar* m_bar;
    std::array<QLabel*, 8> m_sums{};
    QLabel* m_steps;
};

} // namespace canopy::ui
