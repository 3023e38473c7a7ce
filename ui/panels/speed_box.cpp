#include "ui/panels/speed_box.h"

#include <algorithm>
#include <cmath>

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSignalBlocker>
#include <QVBoxLayout>

#include "core/project/similarity.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/speed_slider.h"

namespace canopy::ui {
namespace {

QString text(std::string_view words) {
    return QString::fromUtf8(words.data(), qsizetype(words.size()));
}

QString figure(double value) {
    return QLocale().toString(value, 'f', value < 10 ? 1 : 0);
}

} // namespace

SpeedBox::SpeedBox(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("speedBox"));
    setAccessibleName(tr("Speed"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 0, 0, 0, 0, 8);
    auto* head = new QHBoxLayout;
    m_source = textLabel({}, "hint", QStringLiteral("speedSource"));
    head->addWidget(textLabel(tr("Speed"), "strong"));
    head->addStretch(1);
    head->addWidget(m_source);
    layout->addLayout(head);

    auto* segments = new QHBoxLayout;
    segments->setSpacing(0);
    const auto stops = speedStops();
    for (std::size_t i = 0; i < stops.size(); ++i) {
        auto* button = new QPushButton(text(stops[i].label));
        button->setObjectName(QStringLiteral("speed_") + text(stops[i].id));
        button->setProperty("segment", i == 0 ? "left" : i + 1 == stops.size() ? "right" : "middle");
        button->setProperty("narrow", true);
        button->setAccessibleName(button->text());
        button->setToolTip(text(stops[i].help));
        button->setCheckable(true);
        button->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
        button->setMinimumWidth(0);
        connect(button, &QPushButton::clicked, this, [this, i] { choose(int(i)); });
        segments->addWidget(button);
        m_segments.push_back(button);
    }
    layout->addLayout(segments);

    auto* figures = new QHBoxLayout;
    dresser::setMargins(figures, 0, 0, 0, 0, 8);
    m_seconds = textLabel({}, "hero", QStringLiteral("speedSeconds"));
    m_interval = textLabel({}, "label", QStringLiteral("speedInterval"));
    m_factor = textLabel({}, "readout", QStringLiteral("speedBoxFactor"));
    figures->addWidget(m_seconds, 0, Qt::AlignBottom);
    figures->addWidget(m_interval, 0, Qt::AlignBottom);
    figures->addStretch(1);
    figures->addWidget(m_factor, 0, Qt::AlignBottom);
    layout->addLayout(figures);
    m_slider = new SpeedSlider;
    connect(m_slider, &QSlider::valueChanged, this, &SpeedBox::choose);
    layout->addWidget(m_slider);
    m_likeness = textLabel({}, "label", QStringLiteral("speedLikeness"));
    m_likeness->setWordWrap(true);
    m_reason = textLabel({}, "hint", QStringLiteral("speedReason"));
    m_reason->setWordWrap(true);
    m_progress = textLabel({}, "label", QStringLiteral("speedProgress"));
    m_progress->setWordWrap(true);
    layout->addWidget(m_likeness);
    layout->addWidget(m_reason);
    layout->addWidget(m_progress);
    auto* buttons = new QHBoxLayout;
    dresser::setMargins(buttons, 0, 0, 0, 0, 8);
    m_measure = new QPushButton(tr("Measure this machine"));
    m_measure->setObjectName(QStringLiteral("measureSpeed"));
    m_measure->setAccessibleName(m_measure->text());
    m_measure->setToolTip(
        tr("Makes about a dozen short clips in every way, as jobs of the queue, and removes them. "
           "Takes at most about five minutes for small models."));
    m_cancel = new QPushButton(tr("Stop measuring"));
    m_cancel->setObjectName(QStringLiteral("measureSpeedCancel"));
    m_cancel->setAccessibleName(m_cancel->text());
    connect(m_measure, &QPushButton::clicked, this, &SpeedBox::measureRequested);
    connect(m_cancel, &QPushButton::clicked, this, &SpeedBox::measureCancelled);
    buttons->addWidget(m_measure);
    buttons->addWidget(m_cancel);
    buttons->addStretch(1);
    layout->addLayout(buttons);
    show();
}

AttentionSettings SpeedBox::attention(int steps) const {
    return m_own ? *m_own : attentionOf(speedStops()[std::size_t(m_slider->value())].id, steps);
}

void SpeedBox::setAttention(const AttentionSettings& attention, int steps) {
    const auto stop = stopOf(attention, steps);
    m_own = stop ? std::nullopt : std::optional(attention);
    const auto stops = speedStops();
    for (std::size_t i = 0; i < stops.size(); ++i)
        if (stop && stops[i].id == *stop) {
            const QSignalBlocker blocker(m_slider);
            m_slider->setRange(0, int(stops.size()) - 1);
            m_slider->setValue(int(i));
        }
    show();
}

void SpeedBox::choose(int stop) {
    {
        const QSignalBlocker blocker(m_slider);
        m_slider->setValue(stop);
    }
    m_own.reset();
    show();
    Q_EMIT changed();
}

void SpeedBox::setRequest(const GenerationRequest& request) {
    m_request = request;
    show();
}

void SpeedBox::setRecords(std::vector<SpeedRecord> records, const std::string& machine) {
    m_machine = machine;
    m_models.clear();
    for (auto& record : records)
        if (auto model = SpeedModel::fit(std::move(record)))
            m_models.push_back(std::move(*model));
    show();
}

void SpeedBox::setMeasuring(const QString& words) {
    m_measuring = words;
    if (!words.isEmpty())
        m_problem.clear();
    show();
}

void SpeedBox::showProblem(const QString& sentence) {
    m_measuring.clear();
    m_problem = sentence;
    show();
}

const SpeedModel* SpeedBox::model() const {
    const SpeedKey key = speedKeyOf(m_request, m_machine);
    for (const SpeedModel& model : m_models)
        if (model.record().key == key)
            return &model;
    return nullptr;
}

std::optional<SpeedPrediction> SpeedBox::predict(const GenerationRequest& request) const {
    const auto stop = stopOf(request.attention, request.steps);
    if (!stop)
        return std::nullopt;
    for (const SpeedModel& model : m_models) {
        SpeedKey key = speedKeyOf(request, m_machine);
        // A finished clip says what "automatic" and "all threads" came to.
        key.precision = model.record().key.precision;
        key.threads = model.record().key.threads;
        if (key != model.record().key || request.kernelSet != model.record().kernelSet)
            continue;
        auto prediction = model.predict(request, *stop);
        if (prediction)
            prediction->high += model.record().loadSeconds; // it may have been the first clip of its worker
        return prediction;
    }
    return std::nullopt;
}

QString SpeedBox::reasonWords(const SpeedModel& model) const {
    double dense = 0, least = 0;
    for (const auto& stop : m_slider->stops())
        if (stop.prediction) {
            dense = dense > 0 ? dense : stop.prediction->seconds;
            least = least > 0 ? std::min(least, stop.prediction->seconds) : stop.prediction->seconds;
        }
    if (least <= 0)
        return {};
    const int share = int(std::lround(model.attentionShare(videoTokens(m_request)) * 100));
    if (least > 0.97 * dense)
        return tr("No choice is faster at this size: attention takes about %1 % of a step, and choosing "
                  "costs as "
                  "much as it saves. Longer or larger clips gain more.")
            .arg(share);
    return tr("Nothing below %1 s: attention takes about %2 % of a step at this size, the rest stays.")
        .arg(figure(least))
        .arg(share);
}

void SpeedBox::show() {
    const auto stops = speedStops();
    const SpeedModel* known = model();
    std::vector<SpeedSlider::Stop> places;
    for (const auto& stop : stops) {
        SpeedSlider::Stop place{text(stop.label), {}, {}};
        if (known) {
            GenerationRequest r = m_request;
            place.prediction = known->predict(r, stop.id);
            if (const auto* l = known->record().likenessOf(stop.id))
                place.likeness = text(similarityWords(similarityOf(l->psnr, l->ssim, l->identical)));
        }
        places.push_back(std::move(place));
    }
    {
        const QSignalBlocker blocker(m_slider);
        const int value = m_slider->value();
        m_slider->setStops(places);
        m_slider->setValue(value);
    }
    const int at = m_slider->value();
    for (std::size_t i = 0; i < m_segments.size(); ++i)
        m_segments[i]->setChecked(!m_own && int(i) == at);
    m_slider->setEnabled(!m_own);
    m_source->setText(m_own   ? tr("settings of their own")
                      : known ? tr("measured on this machine")
                              : tr("not measured here"));
    const auto& place = m_slider->stops()[std::size_t(at)];
    const SpeedPrediction* prediction = !m_own && place.prediction ? &*place.prediction : nullptr;
    m_seconds->setVisible(prediction != nullptr);
    m_interval->setVisible(prediction != nullptr);
    m_factor->setVisible(prediction != nullptr && at > 0);
    QString spoken = place.label;
    if (prediction) {
        m_seconds->setText(tr("%1 s").arg(figure(prediction->seconds)));
        m_interval->setText(tr("predicted %1–%2").arg(figure(prediction->low), figure(prediction->high)));
        const auto& dense = m_slider->stops().front().prediction;
        if (dense)
            m_factor->setText(
                tr("%1×").arg(QLocale().toString(dense->seconds / prediction->seconds, 'f', 2)));
        spoken += tr(", predicted %1 seconds, between %2 and %3")
                      .arg(figure(prediction->seconds), figure(prediction->low), figure(prediction->high));
    }
    QString likeness;
    if (!m_own && at == 0)
        likeness = tr("Same shot?  This is the reference.");
    else if (!m_own && !place.likeness.isEmpty()) {
        const auto* l = known->record().likenessOf(stops[std::size_t(at)].id);
        likeness = tr("Same shot?  %1").arg(place.likeness);
        if (!l->identical)
            likeness += tr(" (%1 dB on a measured clip of %2 steps)").arg(figure(l->psnr)).arg(l->steps);
        spoken += tr(", likeness: %1").arg(place.likeness);
    }
    m_likeness->setText(likeness);
    m_likeness->setVisible(!likeness.isEmpty());
    QString reason;
    if (m_own)
        reason = tr("These settings came with the clip and are no place of the slider. Choose a place to "
                    "leave them.");
    else if (!known)
        reason = tr("No time is known for this model, device and precision yet.");
    else if (!prediction)
        reason = tr("This choice was not measured.");
    else
        reason = reasonWords(*known);
    m_reason->setText(reason);
    m_slider->setToolTip(reason);
    m_slider->setAccessibleDescription(spoken);
    m_progress->setText(m_measuring.isEmpty() ? m_problem : m_measuring);
    m_progress->setVisible(!m_progress->text().isEmpty());
    m_measure->setVisible(m_measuring.isEmpty());
    m_measure->setText(known ? tr("Measure again") : tr("Measure this machine"));
    m_measure->setAccessibleName(m_measure->text());
    m_cancel->setVisible(!m_measuring.isEmpty());
}

} // namespace canopy::ui
