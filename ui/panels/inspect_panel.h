#pragma once

#include <array>

#include <QWidget>

#include "ui/attention/attention_selection.h"
#include "ui/attention/mask_view.h"

class QLabel;
class QPushButton;
class QToolButton;

namespace canopy::ui {

class ElidedLabel;
class HeadGrid;
class KeyFrameView;
class WhyBar;

/// The Inspect workspace: which heads kept what, on which part of the picture, and why it got faster. Shows
/// the run of its selection, live or out of a recording; asks for files by signals.
class InspectPanel : public QWidget {
    Q_OBJECT
public:
    explicit InspectPanel(QWidget* parent = nullptr);

    AttentionSelection& selection() { return *m_selection; }
    /// What is shown: "this clip, live" or a recording's name; `isFile` offers the way back.
    void setSource(const QString& words, bool isFile);
    QWidget* keyTarget() const;
    void setCompact(bool compact); ///< little room: narrower columns

Q_SIGNALS:
    void tableRequested();
    void exportRequested(bool npz); ///< false: CSV
    void openRequested();
    void calibrationRequested();
    void saveRequested();
    void liveRequested();
    void hovered(const QString& words);
    void layerChanged(int layer);

private:
    enum Fact { Kept, Age, Overlap, Drift, Call, kFacts };
    enum Sum { Dense, Skipped, Choosing, Rest, Measured, Model, Efficiency, Overhead, Check, kSums };

    QWidget* buildModel();
    QWidget* buildPicture();
    QWidget* buildDrift();
    QWidget* buildCell();
    QWidget* buildMask();
    QWidget* buildReuse();
    QWidget* buildWhy();
    QPushButton* segment(const QString& text, const char* objectName, const char* place, const QString& help);
    void setLook(MaskLook look);
    void showRun();
    void showCell();
    void showQuery();
    void showWhy();

    AttentionSelection* m_selection;
    QLabel* m_model = nullptr;
    QLabel* m_step = nullptr;
    QToolButton* m_stepBack = nullptr;
    QToolButton* m_stepOn = nullptr;
    QPushButton* m_live = nullptr;
    HeadGrid* m_grid = nullptr;
    QLabel* m_mean = nullptr;
    QLabel* m_frame = nullptr;
    KeyFrameView* m_picture = nullptr;
    std::array<QPushButton*, 2> m_shows{};
    QWidget* m_left = nullptr;
    QWidget* m_right = nullptr;
    QLabel* m_cell = nullptr;
    ElidedLabel* m_source = nullptr;
    QPushButton* m_back = nullptr;
    QToolButton* m_table = nullptr;
    QToolButton* m_export = nullptr;
    std::array<QPushButton*, 2> m_branches{};
    std::array<QLabel*, kFacts> m_facts{};
    QLabel* m_blocks = nullptr;
    std::array<QPushButton*, 3> m_looks{};
    MaskView* m_mask = nullptr;
    ElidedLabel* m_query = nullptr;
    QLabel* m_reuseTitle = nullptr;
    QLabel* m_reused = nullptr;
    QLabel* m_avoided = nullptr;
    QLabel* m_why = nullptr;
    WhyBar* m_bar = nullptr;
    std::array<QLabel*, kSums> m_sums{};
    QLabel* m_note = nullptr;
};

} // namespace canopy::ui
