#include "core/client/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

extern char** environ;

namespace canopy::client {
namespace {

std::vector<std::string> mergedEnvironment(const std::vector<std::string>& extra) {
    std::vector<std::string> all;
    const auto nameOf = [](std::string_view entry) { return entry.substr(0, entry.find('=')); };
    for (char** e = environ; *e != nullptr; ++e) {
        bool replaced = false;
        for (const std::string& x : extra) {
            replaced = replaced || nameOf(x) == nameOf(*e);
        }
        if (!replaced) {
            all.emplace_back(*e);
        }
    }
    all.insert(all.end(), extra.begin(), extra.end());
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (std::string& s : strings) {
        out.push_back(s.data());
    }
    out.push_back(nullptr);
    return out;
}

} // namespace

Result<WorkerProcess> WorkerProcess::start(const Launch& launch) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return makeError(ErrorCode::Io, std::string("The system gave no socket pair for the engine: ") +
                                            std::strerror(errno));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (!launch.stderrFile.empty()) {
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, launch.stderrFile.c_str(),
                                         O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::vector<std::string> arguments = {launch.executable.string()};
    arguments.insert(arguments.end(), launch.arguments.begin(), launch.arguments.end());
    std::vector<std::string> environment = mergedEnvironment(launch.environment);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, launch.executable.c_str(), &actions, &attributes,
                                     pointers(arguments).data(), pointers(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed != 0) {
        ::close(ends[0]);
        return makeError(
            ErrorCode::NotFound,
            std::string("The engine's program cannot be started: ") + std::strerror(failed) +
                ". Install or build canopy-worker there. Program: " + launch.executable.string());
    }
    WorkerProcess process;
    process.m_pid = pid;
    process.m_socket = ends[0];
    return process;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : m_pid(std::exchange(other.m_pid, -1))
    , m_socket(std::exchange(other.m_socket, -1))
    , m_status(std::exchange(other.m_status, {})) {}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
    if (this != &other) {
        release();
        m_pid = std::exchange(other.m_pid, -1);
        m_socket = std::exchange(other.m_socket, -1);
        m_status = std::exchange(other.m_status, {});
    }
    return *this;
}

WorkerProcess::~WorkerProcess() {
    release();
}

void WorkerProcess::release() {
    if (m_socket >= 0) {
        ::close(m_socket);
        m_socket = -1;
    }
    if (m_pid > 0 && !ended()) {
        signal(SIGKILL);
        ended(); // a process stuck in the kernel stays a zombie of ours; waiting for it would hang us as well
    }
}

int WorkerProcess::takeSocket() {
    return std::exchange(m_socket, -1);
}

std::optional<int> WorkerProcess::ended() {
    if (!m_status && m_pid > 0) {
        int status = 0;
        const pid_t got = ::waitpid(m_pid, &status, WNOHANG);
        if (got == m_pid) {
            m_status = status;
        } else if (got < 0 && errno == ECHILD) {
            m_status = 0; // somebody else reaped it; its end is certain, its code is lost
        }
    }
    return m_status;
}

void WorkerProcess::signal(int number) {
    if (m_pid > 0 && !m_status) {
        ::kill(m_pid, number);
    }
}

std::string describeExit(int waitStatus) {
    if (WIFSIGNALED(waitStatus)) {
        return "signal " + std::to_string(WTERMSIG(waitStatus));
    }
    return "exit code " + std::to_string(WEXITSTATUS(waitStatus));
}

} // namespace canopy::client
