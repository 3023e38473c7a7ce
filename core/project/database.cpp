#include "core/project/database.h"

#include <fcntl.h>
#include <unistd.h>

namespace canopy::db {

Statement::Statement(sqlite3* db, std::string_view sql) {
    m_code = sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &m_statement, nullptr);
}

Statement::~Statement() {
    sqlite3_finalize(m_statement);
}

Statement& Statement::bind(std::int64_t v) {
    if (!failed())
        m_code = sqlite3_bind_int64(m_statement, ++m_bound, v);
    return *this;
}

Statement& Statement::bind(double v) {
    if (!failed())
        m_code = sqlite3_bind_double(m_statement, ++m_bound, v);
    return *this;
}

Statement& Statement::bind(std::string_view v) {
    if (!failed())
        m_code =
            sqlite3_bind_text64(m_statement, ++m_bound, v.data(), v.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
}

Statement& Statement::bind(std::span<const std::uint8_t> v) {
    if (!failed())
        m_code = sqlite3_bind_blob64(m_statement, ++m_bound,
                                     v.empty() ? reinterpret_cast<const void*>("") : v.data(), v.size(),
                                     SQLITE_TRANSIENT);
    return *this;
}

Statement& Statement::bindNull() {
    if (!failed())
        m_code = sqlite3_bind_null(m_statement, ++m_bound);
    return *this;
}

bool Statement::step() {
    if (failed())
        return false;
    m_code = sqlite3_step(m_statement);
    return m_code == SQLITE_ROW;
}

std::string Statement::text(int column) const {
    const auto* data = sqlite3_column_text(m_statement, column);
    return data ? std::string(reinterpret_cast<const char*>(data),
                              static_cast<std::size_t>(sqlite3_column_bytes(m_statement, column)))
                : std::string();
}

std::span<const std::uint8_t> Statement::blob(int column) const {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(m_statement, column));
    return {data, data ? static_cast<std::size_t>(sqlite3_column_bytes(m_statement, column)) : 0};
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file, bool& damaged) {
    damaged = false;
    std::error_code ec;
    if (file.has_parent_path())
        std::filesystem::create_directories(file.parent_path(), ec);
    if (ec)
        return makeError(ErrorCode::Io, "The folder cannot be made (" + ec.message() +
                                            "); check its permissions: " + file.parent_path().string());
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
    std::unique_ptr<Database> db(new Database(raw, file));
    if (code != SQLITE_OK)
        return db->error("The database cannot be opened");
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, 10'000);
    // An untrusted or damaged file must not run anything.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);

    const auto isDamage = [&] {
        const int primary = sqlite3_errcode(raw) & 0xFF;
        return primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT;
    };
    // Order matters: the first read tells whether it is a database at all.
    {
        Statement check(raw, "PRAGMA quick_check(1)");
        const bool row = check.step();
        damaged = row ? check.text(0) != "ok" : isDamage();
        if (damaged)
            return makeError(ErrorCode::Malformed, "The database is damaged: " + file.string());
        if (!row)
            return db->error("The database cannot be read");
    }
    for (const char* pragma : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"})
        if (sqlite3_exec(raw, pragma, nullptr, nullptr, nullptr) != SQLITE_OK) {
            damaged = isDamage();
            return db->error("The database cannot be opened for writing");
        }
    return db;
}

Database::~Database() {
    sqlite3_close_v2(m_db);
}

Result<void> Database::run(const char* sql) {
    if (sqlite3_exec(m_db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        return error("The database cannot be changed");
    return {};
}

Error Database::error(std::string_view what) const {
    const int primary = m_db ? sqlite3_errcode(m_db) & 0xFF : SQLITE_NOMEM;
    std::string advice = "see the log and try again";
    if (primary == SQLITE_FULL)
        advice = "the disk is full: free some space and try again";
    else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
        advice = "another program holds it: try again in a moment";
    else if (primary == SQLITE_READONLY || primary == SQLITE_CANTOPEN || primary == SQLITE_PERM)
        advice = "check that the folder can be written to";
    return makeError(ErrorCode::Io, std::string(what) + " (" + (m_db ? sqlite3_errmsg(m_db) : "no memory") +
                                        "); " + advice + ": " + m_file.string());
}

std::int64_t Database::userVersion() const {
    Statement s(m_db, "PRAGMA user_version");
    return s.step() ? s.integer(0) : 0;
}

std::int64_t Database::dataVersion() const {
    Statement s(m_db, "PRAGMA data_version");
    return s.step() ? s.integer(0) : 0;
}

Transaction::Transaction(Database& db)
    : m_db(db)
    , m_open(sqlite3_exec(db.handle(), "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK) {}

Transaction::~Transaction() {
    if (m_open)
        sqlite3_exec(m_db.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

bool Transaction::commit() {
    if (!m_open || sqlite3_exec(m_db.handle(), "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK)
        return false;
    m_open = false;
    return true;
}

Result<std::filesystem::path> moveDamagedAside(const std::filesystem::path& file) {
    for (int n = 1; n < 1000; ++n) {
        std::filesystem::path aside = file;
        aside += ".damaged-" + std::to_string(n);
        if (std::filesystem::exists(std::filesystem::symlink_status(aside)))
            continue;
        std::error_code ec;
        std::filesystem::rename(file, aside, ec);
        if (ec)
            return makeError(ErrorCode::Io, "The damaged database cannot be moved aside (" + ec.message() +
                                                "); move it away by hand: " + file.string());
        for (const char* suffix : {"-wal", "-shm"}) {
            std::filesystem::path part = file;
            part += suffix;
            std::filesystem::path partAside = aside;
            partAside += suffix;
            std::filesystem::rename(part, partAside, ec); // often absent
        }
        return aside;
    }
    return makeError(ErrorCode::Io,
                     "There are a thousand damaged databases already; delete them: " + file.string());
}

} // namespace canopy::db
