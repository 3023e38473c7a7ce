#include "ui/panels/status_strip.h"

#include <algorithm>
#include <cmath>

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QPushButton>

#include "ui/models/job_list_model.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/fields.h"

namespace canopy::ui {

LevelBar::LevelBar(QWidget* parent)
    : QWidget(parent) {
    dresser::setFixedWidth(this, 60);
    dresser::setFixedHeight(this, 6);
}

void LevelBar::setShare(double share) {
    m_share = std::clamp(share, 0.0, 1.0);
    update();
}

void LevelBar::setTheme(const Theme& theme) {
    m_theme = theme;
    update();
}

void LevelBar::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.colour(m_theme.isHighContrast() ? Role::Window : Role::Hover));
    painter.fillRect(QRectF(0, 0, width() * m_share, height()), m_theme.colour(Role::Text2));
    if (m_theme.isHighContrast()) {
        painter.setPen(m_theme.colour(Role::Outline));
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

StateDot::StateDot(QWidget* parent)
    : QWidget(parent) {
    dresser::setFixedWidth(this, 8);
    dresser::setFixedHeight(this, 8);
}

void StateDot::setRole(Role role) {
    m_role = role;
    update();
}

void StateDot::setTheme(const Theme& theme) {
    m_theme = theme;
    update();
}

void StateDot::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(m_theme.colour(m_role));
    painter.drawEllipse(rect());
}

StatusStrip::StatusStrip(QWidget* parent)
    : QWidget(parent)
    , m_dot(new StateDot)
    , m_worker(textLabel(tr("Opening"), "label", QStringLiteral("workerState")))
    , m_restart(new QPushButton(tr("Restart")))
    , m_memory(textLabel({}, "figure2", QStringLiteral("memoryState")))
    , m_level(new LevelBar)
    , m_disk(textLabel({}, "figure2", QStringLiteral("diskState")))
    , m_step(textLabel({}, "figure2", QStringLiteral("stepState")))
    , m_remaining(textLabel({}, "figure2", QStringLiteral("remainingState")))
    , m_note(new ElidedLabel) {
    setObjectName(QStringLiteral("statusStrip"));
    setAccessibleName(tr("Status"));
    setAttribute(Qt::WA_StyledBackground);
    auto* layout = new QHBoxLayout(this);
    dresser::setMargins(layout, 12, 0, 12, 0, 10);
    m_restart->setObjectName(QStringLiteral("restartWorkerButton"));
    m_restart->setAccessibleName(tr("Restart the worker"));
    m_restart->setProperty("kind", "plain");
    m_restart->hide();
    m_note->setObjectName(QStringLiteral("statusNote"));
    m_note->setProperty("look", "label");
    m_note->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    dresser::setReservedText(m_worker, tr("Not responding"));
    dresser::setReservedText(m_memory, tr("Memory 00.0/00.0 GB"));
    dresser::setReservedText(m_disk, tr("Disk 0000 GB free"));
    dresser::setReservedText(m_step, tr("Step 000/000, 00.00 s a step"));
    dresser::setReservedText(m_remaining, tr("0:00 to go"));
    layout->addWidget(m_dot);
    layout->addWidget(m_worker);
    layout->addWidget(m_restart);
    layout->addWidget(verticalRule());
    layout->addWidget(m_memory);
    layout->addWidget(m_level);
    layout->addWidget(verticalRule());
    layout->addWidget(m_disk);
    layout->addWidget(verticalRule());
    layout->addWidget(m_step);
    layout->addWidget(verticalRule());
    layout->addWidget(m_remaining);
    layout->addWidget(m_note, 1);
    connect(m_restart, &QPushButton::clicked, this, &StatusStrip::restartRequested);
}

void StatusStrip::setSnapshot(const StudioSnapshot& snapshot) {
    const auto& worker = snapshot.worker;
    const JobRow* running = snapshot.running ? snapshot.find(snapshot.running) : nullptr;
    Role role = Role::Text3;
    QString words = QString::fromStdString(worker.words);
    switch (worker.state) {
    case WorkerState::Ready:
        role = Role::Accent;
        break;
    case WorkerState::Busy:
        role = Role::Accent;
        words = running && running->record.question() ? tr("Answering") : tr("Generating");
        break;
    case WorkerState::NotResponding:
    case WorkerState::Restarting:
        role = Role::Warning;
        break;
    case WorkerState::Stopped:
        role = Role::Error;
        break;
    case WorkerState::NotStarted:
    case WorkerState::Starting:
        break;
    }
    m_dot->setRole(role);
    // The first line says the state; the whole sentence is one hover away and in the job's row.
    const QString brief = words.section(u':', 0, 0);
    if (m_worker->text() != brief)
        m_worker->setText(brief);
    m_worker->setToolTip(
        worker.deviceNote.empty() ? words : words + u'\n' + QString::fromStdString(worker.deviceNote));
    m_restart->setVisible(worker.state == WorkerState::NotResponding || worker.state == WorkerState::Stopped);

    const bool onGpu = worker.deviceBytes > 0;
    const double used = double(onGpu ? worker.deviceBytes : worker.residentBytes) / 1e9;
    const double planned = running && running->progress ? double(running->progress->plannedBytes) / 1e9 : 0;
    const QLocale locale;
    QString memory;
    if (used > 0) {
        memory = onGpu ? tr("GPU ") : tr("Memory ");
        memory += locale.toString(used, 'f', 1);
        if (planned > 0)
            memory += u'/' + locale.toString(planned, 'f', 1);
        memory += tr(" GB");
    }
    m_memory->setText(memory);
    m_memory->setToolTip(planned > 0 ? tr("Measured in the worker, of what the plan predicts for this job")
                                     : tr("Measured in the worker"));
    m_level->setShare(planned > 0 ? used / planned : 0);
    QString step, remaining;
    if (running && running->record.question())
        step = QString::fromStdString(running->words);
    else if (running && running->progress) {
        const auto& p = *running->progress;
        if (p.stage == protocol::Stage::Denoise && p.units > 0) {
            step = tr("Step %1/%2").arg(std::min(p.unit + 1, p.units)).arg(p.units);
            if (p.unitSeconds > 0)
                step += tr(", %1 s a step").arg(locale.toString(p.unitSeconds, 'f', 2));
        } else if (p.stage == protocol::Stage::Decode && p.units > 0) {
            step = tr("Decoding %1/%2").arg(std::min(p.unit + 1, p.units)).arg(p.units);
        }
        if (p.remainingSeconds > 0)
            remaining = tr("%1 to go").arg(clockText(p.remainingSeconds));
    }
    m_step->setText(step);
    m_remaining->setText(remaining);
}

void StatusStrip::setDiskFree(std::uint64_t bytes) {
    m_disk->setText(bytes ? tr("Disk %1 GB free").arg(bytes / 1'000'000'000) : QString());
}

void StatusStrip::setCompact(bool compact) {
    for (QWidget* widget : std::initializer_list<QWidget*>{m_level, m_disk, m_remaining, m_note})
        widget->setVisible(!compact);
}

void StatusStrip::setNote(const QString& text) {
    static_cast<ElidedLabel*>(m_note)->setFullText(text);
}

} // namespace canopy::ui
