#include "ui/panels/request_expert.h"

#include <algorithm>

#include <QCheckBox>
#include <QGridLayout>

#include "ui/panels/setting_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {

RequestExpert::RequestExpert(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("expertFields"));
    auto* grid = new QGridLayout(this);
    dresser::setMargins(grid, 0, 0, 0, 0, 12);
    grid->setColumnStretch(0, 1);
    grid->setColumnStretch(1, 1);

    m_steps = new NumberField;
    m_guidance = new RealField;
    m_shift = new RealField;
    m_sampler = new ComboField;
    m_timeGrid = new ComboField;
    m_precision = new ComboField;
    m_device = new ComboField;
    m_threads = new NumberField;
    m_memory = new RealField;
    m_tiling = new QCheckBox(tr("Decode in tiles"));

    m_steps->setRange(1, 200);
    m_guidance->setRange(1, 30);
    m_guidance->setSingleStep(0.5);
    m_shift->setRange(0.1, 30);
    m_shift->setSingleStep(0.5);
    m_threads->setRange(0, 256);
    m_threads->setSpecialValueText(tr("all"));
    m_memory->setRange(0, 4096);
    m_memory->setDecimals(1);
    m_memory->setSuffix(tr(" GB"));
    m_memory->setSpecialValueText(tr("what is free"));
    m_sampler->addItem(tr("UniPC"), int(Sampler::UniPc));
    m_sampler->addItem(tr("Euler"), int(Sampler::Euler));
    m_timeGrid->addItem(tr("Diffusers"), int(TimeGrid::Diffusers));
    m_timeGrid->addItem(tr("Original"), int(TimeGrid::Original));
    m_precision->addItem(tr("Automatic"), int(Precision::Auto));
    m_precision->addItem(tr("bf16"), int(Precision::BFloat16));
    m_precision->addItem(tr("fp32"), int(Precision::Float32));
    m_device->addItem(tr("CPU"), int(DeviceKind::Cpu));

    struct Entry {
        QWidget* field;
        const char* name;
        const char* key;
        QString label;
    };
    const Entry entries[] = {
        {m_steps, "stepsField", "steps", tr("Steps")},
        {m_guidance, "guidanceField", "guidance", tr("Guidance")},
        {m_shift, "shiftField", "shift", tr("Shift")},
        {m_sampler, "samplerField", "sampler", tr("Sampler")},
        {m_timeGrid, "timeGridField", "time_grid", tr("Time grid")},
        {m_precision, "precisionField", "precision", tr("Precision")},
        {m_threads, "threadsField", "threads", tr("CPU threads")},
        {m_memory, "memoryField", "memory", tr("Memory budget")},
        {m_device, "deviceField", "device", tr("Device")},
    };
    int cell = 0;
    for (const auto& entry : entries) {
        entry.field->setObjectName(QString::fromLatin1(entry.name));
        auto* box = labelledSetting(entry.label, entry.field, entry.key);
        grid->addWidget(box, cell / 2, cell % 2);
        ++cell;
        if (entry.field == m_device)
            m_deviceBox = box;
        if (entry.field == m_timeGrid)
            m_timeGridBox = box;
    }
    m_tiling->setObjectName(QStringLiteral("tilingField"));
    m_tiling->setAccessibleName(tr("Decode in tiles"));
    m_tiling->setToolTip(settingHelp("vae_tiling"));
    grid->addWidget(m_tiling, cell / 2 + 1, 0, 1, 2);

    for (auto* field : {m_steps, m_threads})
        connect(field, &QSpinBox::valueChanged, this, &RequestExpert::changed);
    for (auto* field : {m_guidance, m_shift, m_memory})
        connect(field, &QDoubleSpinBox::valueChanged, this, &RequestExpert::changed);
    for (auto* field : {m_sampler, m_timeGrid, m_precision, m_device})
        connect(field, &QComboBox::currentIndexChanged, this, &RequestExpert::changed);
    connect(m_sampler, &QComboBox::currentIndexChanged, this, &RequestExpert::show);
    connect(m_tiling, &QCheckBox::toggled, this, &RequestExpert::changed);
    show();
}

void RequestExpert::show() {
    m_deviceBox->setVisible(m_device->count() > 1);
    m_timeGridBox->setEnabled(m_sampler->currentData().toInt() == int(Sampler::UniPc));
}

void RequestExpert::setDefaults(const ModelDefaults& defaults) {
    m_steps->setValue(defaults.steps);
    m_guidance->setValue(defaults.guidance);
    m_shift->setValue(defaults.shift);
}

void RequestExpert::setDevices(const std::vector<std::string>& devices) {
    const bool hasGpu =
        std::any_of(devices.begin(), devices.end(), [](auto& d) { return d.starts_with("cuda"); });
    const bool known = m_device->findData(int(DeviceKind::Cuda)) >= 0;
    if (hasGpu && !known) {
        m_device->addItem(tr("GPU"), int(DeviceKind::Cuda));
        m_device->setCurrentIndex(m_device->count() - 1);
    }
    show();
}

void RequestExpert::setThreads(int threads) {
    m_threads->setValue(threads);
}

int RequestExpert::steps() const {
    return m_steps->value();
}

void RequestExpert::apply(GenerationRequest& r) const {
    r.steps = m_steps->value();
    r.guidance = m_guidance->value();
    r.shift = m_shift->value();
    r.sampler = Sampler(m_sampler->currentData().toInt());
    r.timeGrid = TimeGrid(m_timeGrid->currentData().toInt());
    r.precision = Precision(m_precision->currentData().toInt());
    r.device = DeviceKind(m_device->currentData().toInt());
    r.threads = m_threads->value();
    r.vaeTiling = m_tiling->isChecked();
    r.memoryBudgetGb = m_memory->value();
}

void RequestExpert::setRequest(const GenerationRequest& request) {
    m_steps->setValue(request.steps);
    m_guidance->setValue(request.guidance);
    m_shift->setValue(request.shift);
    const auto choose = [](ComboField* field, int value) {
        field->setCurrentIndex(std::max(0, field->findData(value)));
    };
    choose(m_sampler, int(request.sampler));
    choose(m_timeGrid, int(request.timeGrid));
    choose(m_precision, int(request.precision));
    choose(m_device, int(request.device));
    m_threads->setValue(request.threads);
    m_tiling->setChecked(request.vaeTiling);
    m_memory->setValue(request.memoryBudgetGb);
}

} // namespace canopy::ui
