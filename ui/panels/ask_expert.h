#pragma once

#include <QWidget>

#include "core/job/ask_request.h"
#include "ui/theme/dresser.h"

class QCheckBox;
class QGridLayout;

namespace canopy::ui {

class ComboField;
class NumberField;
class RealField;

/// The fields of a question that Expert shows: thresholds, policies, sampling, arithmetic.
class AskExpert : public QWidget {
    Q_OBJECT
public:
    explicit AskExpert(QWidget* parent = nullptr);

    void apply(AskRequest& request) const; ///< writes its fields into the request
    void setRequest(const AskRequest& request);
    void setMode(TokenMode mode); ///< fields that this mode does not use are off

    bool isFollowUp() const; ///< earlier questions and answers on this video go along

Q_SIGNALS:
    void changed();

private:
    template <typename Field>
    Field* add(QGridLayout* grid, Field* field, const QString& label, const char* objectName,
               const QString& help);

    RealField* m_semantic;
    RealField* m_spatial;
    RealField* m_candidates;
    NumberField* m_seed;
    ComboField* m_newlines;
    ComboField* m_accounting;
    ComboField* m_positions;
    ComboField* m_sampling;
    ComboField* m_pooling;
    ComboField* m_timeInstruction;
    NumberField* m_length;
    ComboField* m_precision;
    NumberField* m_threads;
    RealField* m_memory;
    QCheckBox* m_followUp;
    int m_count = 0;
    bool m_loading = false;
};

} // namespace canopy::ui
