#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace canopy {

/// What kind of failure it was. The program decides by the code; the person reads the message.
enum class ErrorCode {
    InvalidArgument, ///< the caller asked for something that cannot be done
    NotFound,        ///< a file, model or job is not there
    Malformed,       ///< a file or message breaks its format
    Unsupported,     ///< recognised, and not handled by this version
    Mismatch,        ///< two things that must fit together do not (weights and config, versions)
    OutOfMemory,     ///< refused by the plan or by the allocator
    Io,              ///< the operating system refused a read or write
    Cancelled,       ///< the person asked to stop
    WorkerLost,      ///< the inference worker ended or stopped answering
    NumericOverflow, ///< NaN or infinity where finite numbers are needed
    Internal,        ///< a defect of ours
};

/// Stable lower-case name of a code, used in files and on the command line ("out_of_memory").
std::string_view errorCodeName(ErrorCode code);
std::optional<ErrorCode> errorCodeFromName(std::string_view name);

/// An expected failure. `message` says what was seen, what was expected and what to do, in that order;
/// paths and prompts stand last.
struct Error {
    ErrorCode code = ErrorCode::Internal;
    std::string message;

    bool operator==(const Error&) const = default;
};

inline Error makeError(ErrorCode code, std::string message) {
    return Error{code, std::move(message)};
}

/// A value or an Error. Crosses module boundaries where an exception must not.
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value)
        : m_state(std::in_place_index<0>, std::move(value)) {}
    Result(Error error)
        : m_state(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return m_state.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return assert(ok()), std::get<0>(m_state); }
    const T& value() const& { return assert(ok()), std::get<0>(m_state); }
    T&& value() && { return assert(ok()), std::get<0>(std::move(m_state)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const { return assert(!ok()), std::get<1>(m_state); }

private:
    std::variant<T, Error> m_state;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error)
        : m_error(std::move(error)) {}

    bool ok() const { return !m_error; }
    explicit operator bool() const { return ok(); }
    const Error& error() const { return assert(m_error), *m_error; }

private:
    std::optional<Error> m_error;
};

} // namespace canopy
