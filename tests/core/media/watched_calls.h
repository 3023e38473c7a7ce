#pragma once

#include <string>
#include <vector>

namespace canopy::test {

/// Watches what this process opens by name and every socket it makes, through definitions of open(), fopen(),
/// socket() and connect() in the test itself, which FFmpeg's libraries then call as well. One at a time.
class WatchedCalls {
public:
    /// Opening `allowed` is nothing to tell.
    explicit WatchedCalls(std::string allowed);
    ~WatchedCalls();
    WatchedCalls(const WatchedCalls&) = delete;
    WatchedCalls& operator=(const WatchedCalls&) = delete;

    int allowedOpens() const;                ///< how often the allowed file was opened
    std::vector<std::string> others() const; ///< "open /etc/passwd", "socket"
};

} // namespace canopy::test
