#include "core/base/log.h"

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "core/base/clock.h"

namespace canopy {

namespace {

constexpr std::size_t kFileBytes = 5u << 20;
constexpr std::size_t kFiles = 4; // rotated beside the current one: five in all
constexpr int kLinesPerMinute = 20;

struct Repeat {
    std::int64_t windowStart = 0;
    int written = 0;
    std::int64_t suppressed = 0;
};

/// Logging is the one process-wide facility: a line must be writable from anywhere, also while things fail.
struct LogState {
    std::mutex mutex;
    std::shared_ptr<spdlog::logger> logger;
    LogLevel fileMinimum = LogLevel::Warning;
    std::function<void(const LogRecord&)> forward;
    LogLevel forwardMinimum = LogLevel::Error;
    std::map<std::pair<std::string, std::string>, Repeat> repeats;
};

LogState& state() {
    static LogState instance;
    return instance;
}

spdlog::level::level_enum spdlogLevel(LogLevel level) {
    switch (level) {
    case LogLevel::Trace:
        return spdlog::level::trace;
    case LogLevel::Debug:
        return spdlog::level::debug;
    case LogLevel::Info:
        return spdlog::level::info;
    case LogLevel::Warning:
        return spdlog::level::warn;
    case LogLevel::Error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> stderrLogger() {
    auto logger =
        std::make_shared<spdlog::logger>("canopy", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_level(spdlog::level::trace);
    logger->set_pattern("%v");
    return logger;
}

/// Number of lines to announce as left out, or nothing when this line itself must be left out.
bool admit(LogState& s, const LogRecord& record, std::int64_t& suppressedBefore) {
    if (s.repeats.size() > 4096)
        s.repeats.clear();
    auto& repeat = s.repeats[{record.component, record.text}];
    if (record.wallMillis - repeat.windowStart > 60'000 || record.wallMillis < repeat.windowStart) {
        suppressedBefore = repeat.suppressed;
        repeat = {record.wallMillis, 0, 0};
    }
    if (repeat.written >= kLinesPerMinute) {
        ++repeat.suppressed;
        return false;
    }
    ++repeat.written;
    return true;
}

} // namespace

std::string_view logLevelName(LogLevel level) {
    switch (level) {
    case LogLevel::Trace:
        return "trace";
    case LogLevel::Debug:
        return "debug";
    case LogLevel::Info:
        return "info";
    case LogLevel::Warning:
        return "warning";
    case LogLevel::Error:
        return "error";
    }
    return "info";
}

void openLogFiles(const std::filesystem::path& folder, std::string_view name, LogLevel minimum) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
    auto& s = state();
    const std::lock_guard lock(s.mutex);
    try {
        auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
            (folder / (std::string(name) + ".log")).string(), kFileBytes, kFiles);
        s.logger = std::make_shared<spdlog::logger>("canopy", std::move(sink));
        s.logger->set_level(spdlog::level::trace);
        s.logger->set_pattern("%v");
        s.logger->flush_on(spdlog::level::warn);
        s.fileMinimum = minimum;
    } catch (const spdlog::spdlog_ex& e) {
        s.logger = stderrLogger();
        std::fprintf(stderr, "Log files cannot be written, lines go to the terminal: %s\n", e.what());
    }
}

void setLogForwarder(std::function<void(const LogRecord&)> forward, LogLevel minimum) {
    auto& s = state();
    const std::lock_guard lock(s.mutex);
    s.forward = std::move(forward);
    s.forwardMinimum = minimum;
}

void log(LogLevel level, std::string_view component, std::string_view text) {
    log(LogRecord{wallMillis(), level, std::string(component), std::string(text)});
}

void log(const LogRecord& record) {
    auto& s = state();
    std::function<void(const LogRecord&)> forward;
    {
        const std::lock_guard lock(s.mutex);
        if (record.level < s.fileMinimum && (!s.forward || record.level < s.forwardMinimum))
            return;
        std::int64_t suppressed = 0;
        if (!admit(s, record, suppressed))
            return;
        if (!s.logger)
            s.logger = stderrLogger();
        if (record.level >= s.fileMinimum) {
            const auto seconds = static_cast<std::time_t>(record.wallMillis / 1000);
            std::tm local{};
            localtime_r(&seconds, &local);
            char when[32];
            std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
            if (suppressed > 0)
                s.logger->log(spdlogLevel(record.level), "{}.{:03} {:7} {}: the next line came {} more times",
                              when, record.wallMillis % 1000, logLevelName(record.level), record.component,
                              suppressed);
            s.logger->log(spdlogLevel(record.level), "{}.{:03} {:7} {}: {}", when, record.wallMillis % 1000,
                          logLevelName(record.level), record.component, record.text);
        }
        if (s.forward && record.level >= s.forwardMinimum)
            forward = s.forward;
    }
    if (forward)
        forward(record);
}

} // namespace canopy
