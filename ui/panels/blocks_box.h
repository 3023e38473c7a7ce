#pragma once

#include <QWidget>

#include "core/studio/studio.h"

class QLabel;
class QPushButton;
class QVBoxLayout;

namespace canopy::ui {

class ComboField;
class NumberField;
class RealField;

/// *How it is made* of the form: all at once or chunk by chunk, and for the latter which steps are reused,
/// how much of the earlier chunks stays in memory and what the clip goes on from. The same values for Simple
/// and Expert.
class BlocksBox : public QWidget {
    Q_OBJECT
public:
    explicit BlocksBox(QWidget* parent = nullptr);

    void setModel(const ModelDefaults& defaults);
    void setExpert(bool expert);
    bool isOn() const;       ///< chunk by chunk
    int blockFrames() const; ///< latent frames of a chunk; 0 = neither model nor settings say it
    void forget();           ///< what was loaded with settings and has no field here
    void setOn(bool on);
    /// Fills in the choice; fields without a widget stay as they are in `settings`.
    void apply(ChunkSettings& settings) const;
    void setSettings(const ChunkSettings& settings);
    /// What the choice comes to: chunks, parts, memory of keys.
    void showCheck(const StartCheck& check);
    /// Starts again from a chunk of an earlier clip, or not (`chunk` 0).
    void setFrom(int chunk, const QString& clip);

Q_SIGNALS:
    void changed();

private:
    void buildWays(QVBoxLayout* layout);
    void buildFields(QVBoxLayout* layout);
    void show();
    void edited();
    void showReuse();

    ModelDefaults m_defaults;
    ChunkSettings m_kept; ///< fields without a widget
    bool m_expert = false;
    bool m_loading = false;
    QPushButton* m_whole = nullptr;
    QPushButton* m_chunked = nullptr;
    QWidget* m_fields = nullptr;
    QLabel* m_layout = nullptr;
    ComboField* m_reuse = nullptr;
    NumberField* m_rate = nullptr;
    QWidget* m_rateBox = nullptr;
    RealField* m_threshold = nullptr;
    QWidget* m_thresholdBox = nullptr;
    NumberField* m_budget = nullptr;
    QWidget* m_expertBox = nullptr;
    NumberField* m_warmup = nullptr;
    ComboField* m_quantity = nullptr;
    QWidget* m_fromRow = nullptr;
    QLabel* m_from = nullptr;
};

} // namespace canopy::ui
