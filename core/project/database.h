#pragma once

// Private to core/project: the SQLite C API with owners and Results. Not a public header.

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace canopy::db {

/// One prepared statement; reset and finalised by its owner. Bound texts and blobs are copied.
class Statement {
public:
    Statement(sqlite3* db, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::int64_t v);
    Statement& bind(double v);
    Statement& bind(std::string_view v);
    Statement& bind(std::span<const std::uint8_t> v);
    Statement& bindNull();

    /// True: a row is there. False: done, or an error, which failed() tells.
    bool step();
    bool failed() const { return m_code != SQLITE_OK && m_code != SQLITE_ROW && m_code != SQLITE_DONE; }
    int code() const { return m_code; }

    std::int64_t integer(int column) const { return sqlite3_column_int64(m_statement, column); }
    double real(int column) const { return sqlite3_column_double(m_statement, column); }
    std::string text(int column) const;
    std::span<const std::uint8_t> blob(int column) const;
    bool isNull(int column) const { return sqlite3_column_type(m_statement, column) == SQLITE_NULL; }

private:
    sqlite3_stmt* m_statement = nullptr;
    int m_code = SQLITE_OK;
    int m_bound = 0;
};

class Database {
public:
    /// Opens or creates; WAL, synchronous=FULL, busy timeout 10 s. `damaged` is set when the file is no
    /// database or fails quick_check.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file, bool& damaged);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    sqlite3* handle() const { return m_db; }
    Result<void> run(const char* sql);
    /// The last error of this connection as a sentence. `what`: "The list of jobs could not be saved".
    Error error(std::string_view what) const;
    std::int64_t userVersion() const;
    /// Changes whenever another connection commits.
    std::int64_t dataVersion() const;

private:
    explicit Database(sqlite3* db, std::filesystem::path file)
        : m_db(db)
        , m_file(std::move(file)) {}
    sqlite3* m_db;
    std::filesystem::path m_file;
};

/// BEGIN IMMEDIATE now, ROLLBACK at the end unless committed.
class Transaction {
public:
    explicit Transaction(Database& db);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    bool begun() const { return m_open; }
    bool commit();

private:
    Database& m_db;
    bool m_open = false;
};

/// Renames the database with its -wal and -shm to "<file>.damaged-<n>"; returns the new name.
Result<std::filesystem::path> moveDamagedAside(const std::filesystem::path& file);

} // namespace canopy::db
