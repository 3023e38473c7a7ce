#pragma once

#include <QWidget>

#include "ui/theme/dresser.h"
#include "ui/tokens/token_layer.h"

class QLabel;
class QStackedWidget;
class QToolButton;

namespace canopy::ui {

class ForestView;
class FrameStrip;
class HistogramView;
class KeptView;
class NumberField;

/// Below the picture: sampled frames, forest and kept counts over one axis, with their words at the left.
class TokensPanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit TokensPanel(TokenLayer* layer, QWidget* parent = nullptr);

    FrameStrip& strip() { return *m_strip; }
    ForestView& forest() { return *m_forest; }
    QWidget* focusTarget() const;
    void setVideoFrames(int frames); ///< of the whole video; "8 of 64"
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void seekRequested(double seconds);
    void hovered(const QString& words);
    void tableRequested(); ///< the run in words

private:
    void showWords();

    TokenLayer* m_layer;
    FrameStrip* m_strip;
    ForestView* m_forest;
    HistogramView* m_histograms;
    KeptView* m_kept;
    QStackedWidget* m_stack;
    QLabel* m_sampled;
    QLabel* m_trees;
    QLabel* m_counts;
    QLabel* m_badge;
    QLabel* m_of;
    NumberField* m_depth;
    QToolButton* m_histogramButton;
    int m_videoFrames = 0;
};

} // namespace canopy::ui
