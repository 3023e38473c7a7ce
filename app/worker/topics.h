#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace canopy::worker {

/// What the client watches. Set by the control thread, asked by the inference thread.
class Topics {
public:
    void set(const std::vector<std::string>& topics) {
        const std::lock_guard lock(m_mutex);
        m_topics = {topics.begin(), topics.end()};
    }
    bool wants(std::string_view topic) const {
        const std::lock_guard lock(m_mutex);
        return m_topics.find(topic) != m_topics.end();
    }

private:
    mutable std::mutex m_mutex;
    std::set<std::string, std::less<>> m_topics;
};

} // namespace canopy::worker
