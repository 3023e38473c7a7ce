#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

namespace canopy::ui {

/// Measures how long the GUI thread did not come back to its event loop: a heartbeat every 5 ms, gaps above
/// 50 ms are logged and counted. Lives in the GUI thread.
class StallWatchdog : public QObject {
    Q_OBJECT
public:
    static constexpr int kBeatMillis = 5;
    static constexpr int kLimitMillis = 50;

    explicit StallWatchdog(QObject* parent = nullptr);
    void start();
    void stop();
    void reset(); ///< forgets what was measured; the next gap counts from now

    int stalls() const { return m_stalls; }
    double worstMillis() const { return m_worst; }

Q_SIGNALS:
    void stalled(double millis);

private:
    void beat();

    QTimer m_timer;
    QElapsedTimer m_since;
    int m_stalls = 0;
    double m_worst = 0;
};

} // namespace canopy::ui
