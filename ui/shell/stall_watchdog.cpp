#include "ui/shell/stall_watchdog.h"

#include <algorithm>

#include "core/base/log.h"

namespace canopy::ui {

StallWatchdog::StallWatchdog(QObject* parent)
    : QObject(parent) {
    m_timer.setTimerType(Qt::PreciseTimer);
    m_timer.setInterval(kBeatMillis);
    connect(&m_timer, &QTimer::timeout, this, &StallWatchdog::beat);
}

void StallWatchdog::start() {
    m_since.start();
    m_timer.start();
}

void StallWatchdog::stop() {
    m_timer.stop();
}

void StallWatchdog::reset() {
    m_stalls = 0;
    m_worst = 0;
    m_since.start();
}

void StallWatchdog::beat() {
    // What exceeds the beat itself is time in which nothing else could run.
    const double gap = double(m_since.nsecsElapsed()) * 1e-6 - kBeatMillis;
    m_since.start();
    m_worst = std::max(m_worst, gap);
    if (gap <= kLimitMillis)
        return;
    ++m_stalls;
    log(LogLevel::Debug, "ui", "The window did not react for " + std::to_string(int(gap)) + " ms.");
    Q_EMIT stalled(gap);
}

} // namespace canopy::ui
