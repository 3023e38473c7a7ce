#include "tests/core/media/watched_calls.h"

// <fcntl.h> is left out: it declares open() in ways that a definition of it cannot follow.
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <utility>

namespace {

constexpr int kAtCurrentFolder = -100; // AT_FDCWD
constexpr int kCreates = 0100;         // O_CREAT

struct Watch {
    std::string allowed;
    int allowedOpens = 0;
    std::vector<std::string> others;
};
std::mutex g_mutex;
Watch* g_watch = nullptr;

void note(std::string_view call, const char* path) {
    const std::lock_guard lock(g_mutex);
    if (!g_watch)
        return;
    if (path && g_watch->allowed == path)
        ++g_watch->allowedOpens;
    else
        g_watch->others.push_back(std::string(call) + (path ? " " + std::string(path) : ""));
}

int openAt(int folder, const char* path, int flags, unsigned mode) {
    note("open", path);
    return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

unsigned modeOf(int flags, va_list arguments) {
    return flags & kCreates ? va_arg(arguments, unsigned) : 0;
}

template <typename Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = modeOf(flags, arguments);
    va_end(arguments);
    return openAt(kAtCurrentFolder, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = modeOf(flags, arguments);
    va_end(arguments);
    return openAt(kAtCurrentFolder, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = modeOf(flags, arguments);
    va_end(arguments);
    return openAt(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = modeOf(flags, arguments);
    va_end(arguments);
    return openAt(folder, path, flags, mode);
}
int __open_2(const char* path, int flags) {
    return openAt(kAtCurrentFolder, path, flags, 0);
}
int __open64_2(const char* path, int flags) {
    return openAt(kAtCurrentFolder, path, flags, 0);
}
std::FILE* fopen(const char* path, const char* mode) {
    note("fopen", path);
    return next<std::FILE*(const char*, const char*)>("fopen")(path, mode);
}
std::FILE* fopen64(const char* path, const char* mode) {
    note("fopen", path);
    return next<std::FILE*(const char*, const char*)>("fopen64")(path, mode);
}
int socket(int domain, int type, int protocol) {
    note("socket", nullptr);
    return static_cast<int>(syscall(SYS_socket, domain, type, protocol));
}
int connect(int fd, const void* address, unsigned length) {
    note("connect", nullptr);
    return static_cast<int>(syscall(SYS_connect, fd, address, length));
}

} // extern "C"

namespace canopy::test {

WatchedCalls::WatchedCalls(std::string allowed) {
    const std::lock_guard lock(g_mutex);
    g_watch = new Watch{std::move(allowed), 0, {}};
}

WatchedCalls::~WatchedCalls() {
    const std::lock_guard lock(g_mutex);
    delete std::exchange(g_watch, nullptr);
}

int WatchedCalls::allowedOpens() const {
    const std::lock_guard lock(g_mutex);
    return g_watch->allowedOpens;
}

std::vector<std::string> WatchedCalls::others() const {
    const std::lock_guard lock(g_mutex);
    return g_watch->others;
}

} // namespace canopy::test
