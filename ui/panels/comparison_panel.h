#pragma once

#include <memory>
#include <optional>

#include <QWidget>

#include "core/job/settings_comparison.h"
#include "core/media/compare.h"
#include "ui/compare/metric_strips.h"
#include "ui/theme/dresser.h"

class QGridLayout;
class QLabel;
class QPushButton;
class QToolButton;
class QVBoxLayout;

namespace canopy::ui {

/// What Compare says of two clips. A value: the panel draws it and knows nothing else.
struct ComparisonResult {
    QString waiting;     ///< why there is no result, in a sentence; empty = there is one
    double secondsA = 0; ///< measured making times; 0 = not known
    double secondsB = 0;
    /// What Speed predicts for B on this machine, seconds.
    struct Prediction {
        double low = 0;
        double high = 0;
    };
    std::optional<Prediction> predictedB;
    std::shared_ptr<const media::FileComparison> figures;
    QString figuresWords; ///< while figures are being made, or why there are none
    std::optional<NoiseFloor> floor;
    QString floorWords;                         ///< "bf16 against fp32", or what stands in the way
    std::optional<SettingsComparison> settings; ///< none: one of them carries no settings
    bool canMakeTwin = false;                   ///< of the accelerated clip
    bool canMeasureFloor = false;
    bool canKeepB = false;
    bool keptB = false;    ///< it has its star
    bool isMaking = false; ///< a clip for this comparison is being made
    QString making;        ///< how far it is, or why it was not made
    int frame = 0;
};

/// Two measured times as bars, with the predicted range below the second.
class TimeBars : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit TimeBars(QWidget* parent = nullptr);
    void setTimes(double secondsA, double secondsB, std::optional<ComparisonResult::Prediction> predictedB);
    void setTheme(const Theme& theme) override;
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Theme m_theme;
    bool m_hasTheme = false;
    double m_a = 0;
    double m_b = 0;
    std::optional<ComparisonResult::Prediction> m_predicted;
};

/// The right side of Compare: how much faster, how alike, what differs in the settings, the figures, and what
/// can be done about what is missing.
class ComparisonPanel : public QWidget {
    Q_OBJECT
public:
    explicit ComparisonPanel(QWidget* parent = nullptr);
    void setResult(const ComparisonResult& result);
    void setFrame(int frame); ///< "now"
    const ComparisonResult& result() const { return m_result; }
    QWidget* focusTarget() const;

Q_SIGNALS:
    void twinRequested();  ///< *Make the dense twin*
    void floorRequested(); ///< *Measure the noise floor*
    void keepRequested();  ///< star B
    void worstRequested(); ///< go to the worst frame
    void tableRequested();
    void exportRequested();

private:
    void build();
    void showTimes();
    void showLikeness();
    void showSettings();
    void showFigures();
    void showButtons();

    ComparisonResult m_result;
    QLabel* m_waiting = nullptr;
    QWidget* m_body = nullptr;
    QLabel* m_factor = nullptr;
    QLabel* m_factorWords = nullptr;
    QLabel* m_promise = nullptr;
    TimeBars* m_bars = nullptr;
    QLabel* m_timeWords = nullptr;
    QLabel* m_same = nullptr;
    QPushButton* m_largest = nullptr;
    QLabel* m_floor = nullptr;
    QWidget* m_table = nullptr;
    QGridLayout* m_grid = nullptr;
    QLabel* m_equal = nullptr;
    QLabel* m_planes = nullptr;
    QLabel* m_figures[2][3] = {};
    QLabel* m_making = nullptr;
    QPushButton* m_twin = nullptr;
    QPushButton* m_measure = nullptr;
    QPushButton* m_keep = nullptr;
    QToolButton* m_tableButton = nullptr;
    QToolButton* m_exportButton = nullptr;
};

} // namespace canopy::ui
