#pragma once

#include <deque>

namespace canopy::client {

/// Decides whether a worker that died is started again. Pure; the time is handed in (seconds, any origin).
class RestartPolicy {
public:
    RestartPolicy(double windowSeconds, int limit)
        : m_window(windowSeconds)
        , m_limit(limit) {}

    /// Notes a death. True = start again, false = stopped: `limit` deaths within the window.
    bool died(double now) {
        forgive(now);
        m_deaths.push_back(now);
        return count() < m_limit;
    }
    void forgiveAll() { m_deaths.clear(); }
    /// Deaths that still count: n of "Restarting (n/3)".
    int count() const { return static_cast<int>(m_deaths.size()); }
    int limit() const { return m_limit; }

private:
    void forgive(double now) {
        while (!m_deaths.empty() && now - m_deaths.front() > m_window) {
            m_deaths.pop_front();
        }
    }

    double m_window;
    int m_limit;
    std::deque<double> m_deaths;
};

} // namespace canopy::client
