#pragma once

#include <string>
#include <vector>

#include <QWidget>

#include "core/formats/model_config.h"
#include "core/job/generation_request.h"

class QCheckBox;

namespace canopy::ui {

class ComboField;
class NumberField;
class RealField;

/// The fields that Expert adds to the form.
class RequestExpert : public QWidget {
    Q_OBJECT
public:
    explicit RequestExpert(QWidget* parent = nullptr);

    void setDefaults(const ModelDefaults& defaults);
    void setDevices(const std::vector<std::string>& devices);
    void setThreads(int threads); ///< 0 = all
    int steps() const;
    void apply(GenerationRequest& request) const;
    void setRequest(const GenerationRequest& request);

Q_SIGNALS:
    void changed();

private:
    void show();

    NumberField* m_steps;
    RealField* m_guidance;
    RealField* m_shift;
    ComboField* m_sampler;
    ComboField* m_timeGrid;
    ComboField* m_precision;
    ComboField* m_device;
    QWidget* m_deviceBox = nullptr;
    QWidget* m_timeGridBox = nullptr;
    NumberField* m_threads;
    RealField* m_memory;
    QCheckBox* m_tiling;
};

} // namespace canopy::ui
