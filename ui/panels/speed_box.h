#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <QWidget>

#include "core/studio/speed_model.h"
#include "core/studio/speed_stops.h"

class QLabel;
class QPushButton;

namespace canopy::ui {

class SpeedSlider;

/// *Speed* of the form: how dense or fast the clip is made, with predicted seconds and likeness where this
/// machine was measured for the model, and the button that measures it. Invents no figure.
class SpeedBox : public QWidget {
    Q_OBJECT
public:
    explicit SpeedBox(QWidget* parent = nullptr);

    /// The attention that the choice means for this many steps.
    AttentionSettings attention(int steps) const;
    /// Chooses the stop with these settings; others are kept as somebody's own until a stop is chosen.
    void setAttention(const AttentionSettings& attention, int steps);
    /// The form's request with the defaults filled: what is predicted.
    void setRequest(const GenerationRequest& request);
    void setRecords(std::vector<SpeedRecord> records, const std::string& machine);
    void setMeasuring(const QString& words); ///< how far it is; empty = nothing is measured
    void showProblem(const QString& sentence);
    /// Prediction for settings of a clip, where its stop was measured here.
    std::optional<SpeedPrediction> predict(const GenerationRequest& request) const;

Q_SIGNALS:
    void changed();          ///< another stop
    void measureRequested(); ///< *Measure this machine*
    void measureCancelled();

private:
    void choose(int stop);
    void show();
    const SpeedModel* model() const;
    QString reasonWords(const SpeedModel& model) const;

    std::optional<AttentionSettings> m_own; ///< settings that are no stop
    GenerationRequest m_request;
    std::vector<SpeedModel> m_models;
    std::string m_machine;
    QString m_measuring;
    QString m_problem;
    QLabel* m_source;
    std::vector<QPushButton*> m_segments;
    QLabel* m_seconds;
    QLabel* m_interval;
    QLabel* m_factor;
    SpeedSlider* m_slider;
    QLabel* m_likeness;
    QLabel* m_reason;
    QLabel* m_progress;
    QPushButton* m_measure;
    QPushButton* m_cancel;
};

} // namespace canopy::ui
