#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace canopy {

/// ERROR: the operation failed or data was lost. WARNING: it worked, not as asked. INFO: worth telling the
/// user. TRACE: anything per step or frame, and the only level that may hold prompt text.
enum class LogLevel : std::uint8_t { Trace, Debug, Info, Warning, Error };

std::string_view logLevelName(LogLevel level);

/// One line handed to a sink. `component` is the module ("worker", "client", "media").
struct LogRecord {
    std::int64_t wallMillis = 0;
    LogLevel level = LogLevel::Info;
    std::string component;
    std::string text;
};

/// Rotating files `<folder>/<name>.log`, at most 5 of 5 MiB each. The folder is made. Process-wide, called
/// once by each executable's main before threads start; without it, lines of Warning and above go to stderr.
void openLogFiles(const std::filesystem::path& folder, std::string_view name, LogLevel minimum);

/// Receives every record at or above `minimum` in addition to the files (the worker forwards them as
/// messages).
void setLogForwarder(std::function<void(const LogRecord&)> forward, LogLevel minimum);

/// Thread-safe. The same text from one component is written at most 20 times a minute; then one line counts
/// the rest.
void log(LogLevel level, std::string_view component, std::string_view text);
/// Writes a record made elsewhere (a worker's) with its own time and component.
void log(const LogRecord& record);

inline void logError(std::string_view component, std::string_view text) {
    log(LogLevel::Error, component, text);
}
inline void logWarning(std::string_view component, std::string_view text) {
    log(LogLevel::Warning, component, text);
}
inline void logInfo(std::string_view component, std::string_view text) {
    log(LogLevel::Info, component, text);
}
inline void logTrace(std::string_view component, std::string_view text) {
    log(LogLevel::Trace, component, text);
}

} // namespace canopy
