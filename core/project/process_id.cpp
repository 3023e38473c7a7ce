#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include "core/project/job_store.h"

namespace canopy {
namespace {

/// Field 22 of /proc/<pid>/stat: start time in ticks since boot. 0 = there is no such process, or a zombie.
std::uint64_t startTicksOf(std::int64_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(in, line))
        return 0;
    // The program's name, field 2, is in brackets and may hold anything: count from the last bracket.
    const std::size_t bracket = line.rfind(')');
    if (bracket == std::string::npos)
        return 0;
    std::istringstream rest(line.substr(bracket + 1));
    std::string state;
    rest >> state; // field 3
    if (state == "Z" || state == "X")
        return 0;
    std::string skipped;
    for (int field = 4; field < 22; ++field)
        rest >> skipped;
    std::uint64_t ticks = 0;
    rest >> ticks;
    return rest ? ticks : 0;
}

} // namespace

ProcessId currentProcess() {
    const std::int64_t pid = ::getpid();
    return {pid, startTicksOf(pid)};
}

bool isAlive(const ProcessId& process) {
    return process.pid > 0 && process.startTicks != 0 && startTicksOf(process.pid) == process.startTicks;
}

} // namespace canopy
