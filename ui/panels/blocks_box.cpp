#include "ui/panels/blocks_box.h"

#include <algorithm>
#include <cmath>

#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSignalBlocker>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/job/chunk_layout.h"
#include "ui/panels/pane_parts.h"
#include "ui/panels/setting_parts.h"
#include "ui/theme/dresser.h"
#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

constexpr int kUsualRate = 40;          ///< percent of steps; a careful start (flow-cache.md)
constexpr double kUsualThreshold = 0.1; ///< accumulated change

/// What the list of ways to reuse holds.
enum Reuse { kNothing, kFlowByRate, kFlowByThreshold, kTea };

int reuseOf(const ChunkSettings& s) {
    switch (s.cache) {
    case ReuseMethod::TeaCache:
        return kTea;
    case ReuseMethod::FlowCache:
        return s.hitRate >= 0 ? kFlowByRate : kFlowByThreshold;
    case ReuseMethod::None:
        break;
    }
    return kNothing;
}

QWidget* labelled(const QString& label, QWidget* field, const char* name, const QString& help) {
    field->setObjectName(QLatin1String(name));
    return labelledField(label, field, help);
}

} // namespace

BlocksBox::BlocksBox(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("blocksBox"));
    setAccessibleName(tr("How it is made"));
    auto* layout = new QVBoxLayout(this);
    dresser::setMargins(layout, 0, 0, 0, 0, 8);
    buildWays(layout);
    buildFields(layout);
    show();
}

void BlocksBox::buildWays(QVBoxLayout* layout) {
    auto* caption = textLabel(tr("How it is made"), "label");
    layout->addWidget(caption);
    auto* row = new QHBoxLayout;
    row->setSpacing(0);
    m_whole = new QPushButton(tr("All at once"));
    m_chunked = new QPushButton(tr("Chunk by chunk"));
    m_whole->setObjectName(QStringLiteral("madeWhole"));
    m_chunked->setObjectName(QStringLiteral("madeChunked"));
    m_whole->setProperty("segment", "left");
    m_chunked->setProperty("segment", "right");
    m_whole->setToolTip(tr("All pictures are refined together. The clip can be played when it is done."));
    m_chunked->setToolTip(
        tr("The clip grows: each chunk follows from those before it and plays as soon as it is "
           "done. For long clips, and to make a clip again from one of its chunks."));
    for (auto* button : {m_whole, m_chunked}) {
        button->setCheckable(true);
        button->setAccessibleName(tr("%1: %2").arg(caption->text(), button->text()));
        connect(button, &QPushButton::clicked, this, [this, button] {
            setOn(button == m_chunked);
            edited();
        });
        row->addWidget(button, 1);
    }
    m_whole->setChecked(true);
    layout->addLayout(row);
}

void BlocksBox::buildFields(QVBoxLayout* layout) {
    m_fields = new QWidget;
    auto* rows = new QVBoxLayout(m_fields);
    dresser::setMargins(rows, 0, 0, 0, 0, 8);
    m_fromRow = new QWidget;
    m_fromRow->setObjectName(QStringLiteral("fromRow"));
    auto* from = new QHBoxLayout(m_fromRow);
    dresser::setMargins(from, 0, 0, 0, 0, 4);
    m_from = textLabel({}, "strongLabel", QStringLiteral("fromWords"));
    m_from->setWordWrap(true);
    auto* clear =
        iconButton(QStringLiteral("x-lg"), tr("Make the whole clip anew"), QStringLiteral("fromClear"));
    connect(clear, &QToolButton::clicked, this, [this] {
        setFrom(0, {});
        edited();
    });
    from->addWidget(m_from, 1);
    from->addWidget(clear);
    rows->addWidget(m_fromRow);

    m_layout = textLabel({}, "hint", QStringLiteral("chunkLayout"));
    m_layout->setWordWrap(true);
    rows->addWidget(m_layout);

    m_reuse = new ComboField;
    m_reuse->addItem(tr("Compute every step"), kNothing);
    m_reuse->addItem(tr("FlowCache, by change"), kFlowByThreshold);
    m_reuse->addItem(tr("FlowCache, by share"), kFlowByRate);
    m_reuse->addItem(tr("TeaCache, by change"), kTea);
    rows->addWidget(labelled(tr("Reuse"), m_reuse, "reuseField",
                             tr("Steps at which a chunk would hardly change repeat the last one instead of "
                                "being computed: faster, and "
                                "a little less like the clip without reuse. FlowCache decides for each "
                                "chunk, TeaCache for all chunks "
                                "that are made at the same time.")));
    m_rate = new NumberField;
    m_rate->setRange(5, 90);
    m_rate->setSingleStep(5);
    m_rate->setSuffix(tr(" % of steps"));
    m_rate->setValue(kUsualRate);
    m_rateBox =
        labelled(tr("Steps reused"), m_rate, "hitRateField",
                 tr("About how many steps are to be repeated. 25 % is careful, 40 % usual, 60 % bold."));
    m_threshold = new RealField;
    m_threshold->setRange(0, 10);
    m_threshold->setDecimals(3);
    m_threshold->setSingleStep(0.05);
    m_threshold->setValue(kUsualThreshold);
    m_thresholdBox = labelled(
        tr("Change allowed"), m_threshold, "thresholdField",
        tr("How much change may add up before a step is computed again. More is faster and less like "
           "the clip without reuse. 0.1 is a careful start."));
    m_budget = new NumberField;
    m_budget->setRange(0, 256);
    m_budget->setSpecialValueText(tr("all of them"));
    m_budget->setSuffix(tr(" chunks"));
    auto* budget =
        labelled(tr("Chunks remembered"), m_budget, "kvBudgetField",
                 tr("How many chunks' worth of memory a chunk may look back at. With fewer than all, "
                    "what matters least of finished chunks is forgotten, so that memory stays the same "
                    "however long the clip grows."));
    auto* pair = new QHBoxLayout;
    dresser::setMargins(pair, 0, 0, 0, 0, 12);
    pair->addWidget(m_rateBox, 1);
    pair->addWidget(m_thresholdBox, 1);
    pair->addWidget(budget, 1);
    rows->addLayout(pair);

    m_expertBox = new QWidget;
    auto* expert = new QHBoxLayout(m_expertBox);
    dresser::setMargins(expert, 0, 0, 0, 0, 12);
    m_warmup = new NumberField;
    m_warmup->setRange(-1, 200);
    m_warmup->setSpecialValueText(tr("usual"));
    m_warmup->setValue(-1);
    m_quantity = new ComboField;
    m_quantity->addItem(tr("Velocity"), int(ReusedQuantity::Velocity));
    m_quantity->addItem(tr("Change of latents"), int(ReusedQuantity::Increment));
    m_quantity->addItem(tr("What layers added"), int(ReusedQuantity::Residual));
    expert->addWidget(
        labelled(tr("Warm-up steps"), m_warmup, "warmupField",
                 tr("First steps of each chunk that are always computed. Usual: 5, or a tenth of "
                    "the steps if that is more.")),
        1);
    expert->addWidget(
        labelled(tr("What is repeated"), m_quantity, "quantityField",
                 tr("The velocity; the last change of the latents, as published for MAGI-1; or what "
                    "the layers added, as published for SkyReels-V2.")),
        1);
    rows->addWidget(m_expertBox);
    layout->addWidget(m_fields);

    connect(m_reuse, &QComboBox::currentIndexChanged, this, [this] {
        showReuse();
        edited();
    });
    connect(m_quantity, &QComboBox::currentIndexChanged, this, &BlocksBox::edited);
    connect(m_threshold, &QDoubleSpinBox::valueChanged, this, &BlocksBox::edited);
    for (auto* field : {m_rate, m_budget, m_warmup})
        connect(field, &QSpinBox::valueChanged, this, &BlocksBox::edited);
}

void BlocksBox::edited() {
    if (!m_loading)
        Q_EMIT changed();
}

void BlocksBox::setModel(const ModelDefaults& defaults) {
    m_defaults = defaults;
    show();
}

void BlocksBox::setExpert(bool expert) {
    m_expert = expert;
    show();
}

int BlocksBox::blockFrames() const {
    return m_kept.blockFrames > 0 ? m_kept.blockFrames : m_defaults.blockLatentFrames;
}

void BlocksBox::forget() {
    m_kept = {};
    show();
}

bool BlocksBox::isOn() const {
    return m_chunked->isChecked();
}

void BlocksBox::setOn(bool on) {
    m_whole->setChecked(!on);
    m_chunked->setChecked(on);
    show();
}

void BlocksBox::show() {
    m_fields->setVisible(isOn());
    m_fromRow->setVisible(m_kept.fromChunk > 0);
    showReuse();
}

void BlocksBox::showReuse() {
    const int reuse = m_reuse->currentData().toInt();
    m_rateBox->setVisible(reuse == kFlowByRate);
    m_thresholdBox->setVisible(reuse == kFlowByThreshold || reuse == kTea);
    m_expertBox->setVisible(m_expert && reuse != kNothing);
}

void BlocksBox::apply(ChunkSettings& s) const {
    if (!isOn()) {
        s = {};
        return;
    }
    s = m_kept;
    s.mode = SamplingMode::Chunked;
    s.blockFrames = blockFrames();
    s.threshold = s.hitRate = -1;
    s.warmup = m_warmup->value();
    s.quantity = ReusedQuantity(m_quantity->currentData().toInt());
    s.kvBudget = m_budget->value();
    const int reuse = m_reuse->currentData().toInt();
    s.cache = reuse == kNothing ? ReuseMethod::None
              : reuse == kTea   ? ReuseMethod::TeaCache
                                : ReuseMethod::FlowCache;
    if (reuse == kFlowByRate) {
        s.hitRate = m_rate->value() / 100.0;
        s.feature = ReuseFeature::Time; // only there a share is known before sampling
    } else if (reuse != kNothing) {
        s.threshold = m_threshold->value();
        // Each chunk by its own change, unless loaded settings go by time: that needs no calibration.
        const bool loaded = m_kept.cache == ReuseMethod::FlowCache && m_kept.hitRate < 0;
        if (reuse == kFlowByThreshold && !loaded)
            s.feature = ReuseFeature::Latent;
    }
}

void BlocksBox::setSettings(const ChunkSettings& s) {
    m_loading = true;
    m_kept = s;
    setOn(s.mode == SamplingMode::Chunked);
    m_reuse->setCurrentIndex(std::max(0, m_reuse->findData(reuseOf(s))));
    if (s.hitRate >= 0)
        m_rate->setValue(int(std::lround(s.hitRate * 100)));
    if (s.threshold >= 0)
        m_threshold->setValue(s.threshold);
    m_warmup->setValue(s.warmup);
    m_quantity->setCurrentIndex(std::max(0, m_quantity->findData(int(s.quantity))));
    m_budget->setValue(s.kvBudget);
    setFrom(s.fromChunk, QString::fromStdString(s.basePath));
    m_loading = false;
    show();
}

void BlocksBox::setFrom(int chunk, const QString& clip) {
    m_kept.fromChunk = chunk;
    m_kept.basePath = chunk > 0 ? clip.toStdString() : std::string();
    if (chunk == 0)
        m_kept.forced.clear();
    m_from->setText(tr("From chunk %1 of %2 on; what is before it stays.")
                        .arg(chunk + 1)
                        .arg(QFileInfo(clip).completeBaseName()));
    m_from->setToolTip(clip);
    show();
}

void BlocksBox::showCheck(const StartCheck& check) {
    const ChunkLayout layout = chunkLayout(check.request, m_defaults);
    QString words;
    if (layout.chunks > 0) {
        const double seconds = 4.0 * layout.chunkFrames / std::max(1, check.request.fps);
        words = tr("%1 chunks of %2 s").arg(layout.chunks).arg(QLocale().toString(seconds, 'f', 2));
        if (layout.segments.size() > 1)
            words += tr(", in %1 parts that share a chunk: longer than the model was trained for")
                         .arg(layout.segments.size());
    }
    for (const auto& stage : check.plan.stages)
        for (const auto& item : stage.items)
            if (item.category == MemoryCategory::KeyValues && item.device == check.request.device &&
                item.bytes > 0)
                words += tr("; earlier chunks take %1 GB")
                             .arg(QLocale().toString(double(item.bytes) / 1e9, 'f', 2));
    m_layout->setText(words);
    m_layout->setVisible(!words.isEmpty());
}

} // namespace canopy::ui
