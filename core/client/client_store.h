#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/base/clock.h"
#include "core/client/client_snapshot.h"

namespace canopy::client {

/// Bounded: one preview, one progress and one line per timing name, whatever arrives. Writers change the
/// state under the lock; readers get an immutable copy, made once per version. Private to core/client;
/// thread-safe.
class ClientStore {
public:
    template <typename Change>
    void change(Change&& change) {
        {
            const std::lock_guard lock(m_mutex);
            change(m_state);
            ++m_state.version;
        }
        m_changed.notify_all();
    }

    template <typename Look>
    auto look(Look&& look) const {
        const std::lock_guard lock(m_mutex);
        return look(m_state);
    }

    /// Newest wins; one that nobody has taken is counted.
    void setPreview(std::shared_ptr<const Preview> preview) {
        change([&](ClientSnapshot& s) {
            ++s.traffic.previewsReceived;
            s.traffic.previewsUnseen += s.preview && !m_previewTaken ? 1 : 0;
            s.preview = std::move(preview);
            m_previewTaken = false;
        });
    }

    SnapshotPtr snapshot() const {
        const std::lock_guard lock(m_mutex);
        return take();
    }

    SnapshotPtr waitForChange(std::uint64_t seen, std::chrono::steady_clock::time_point deadline) const {
        std::unique_lock lock(m_mutex);
        m_changed.wait_until(lock, deadline, [&] { return m_state.version > seen; });
        return take();
    }

private:
    SnapshotPtr take() const {
        m_previewTaken = true;
        if (!m_cached || m_cached->version != m_state.version) {
            m_state.takenAt = steadySeconds();
            m_cached = std::make_shared<const ClientSnapshot>(m_state);
        }
        return m_cached;
    }

    mutable std::mutex m_mutex;
    mutable std::condition_variable m_changed;
    mutable ClientSnapshot m_state;
    mutable SnapshotPtr m_cached;
    mutable bool m_previewTaken = true;
};

} // namespace canopy::client
