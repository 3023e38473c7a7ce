#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace canopy::client {

/// One child process with a socket as its stdin and stdout. Private to core/client. Home thread: the
/// client's.
class WorkerProcess {
public:
    struct Launch {
        std::filesystem::path executable;
        std::vector<std::string> arguments;
        std::vector<std::string> environment; ///< "NAME=value", replacing ours of the same name
        std::filesystem::path stderrFile;     ///< empty = ours
    };

    /// Starts it in a process group of its own (Ctrl+C in a terminal is for us, not for it).
    static Result<WorkerProcess> start(const Launch& launch);
    WorkerProcess(WorkerProcess&& other) noexcept;
    WorkerProcess& operator=(WorkerProcess&& other) noexcept;
    ~WorkerProcess(); ///< a process that still runs is killed

    pid_t pid() const { return m_pid; }
    /// Our end of the socket, handed over once.
    int takeSocket();
    /// The wait status once the process has ended. Never blocks.
    std::optional<int> ended();
    void signal(int number);

private:
    WorkerProcess() = default;
    void release();

    pid_t m_pid = -1;
    int m_socket = -1;
    std::optional<int> m_status;
};

/// "signal 9", "exit code 3".
std::string describeExit(int waitStatus);

} // namespace canopy::client
