#include "core/project/clip_library.h"

#include <utf8proc.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/project/database.h"

namespace canopy {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE clips(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  file TEXT NOT NULL UNIQUE,
  file_bytes INTEGER NOT NULL,
  file_ms INTEGER NOT NULL,
  request TEXT NOT NULL,
  folded_prompt TEXT NOT NULL,
  model_label TEXT NOT NULL,
  make_seconds REAL NOT NULL,
  made_ms INTEGER NOT NULL,
  starred INTEGER NOT NULL DEFAULT 0,
  thumb_width INTEGER NOT NULL,
  thumb_height INTEGER NOT NULL,
  thumb BLOB NOT NULL);
CREATE INDEX clips_by_time ON clips(made_ms);
PRAGMA user_version = 1;
)";

constexpr std::string_view kColumns =
    "id, file, file_bytes, file_ms, request, model_label, make_seconds, made_ms, "
    "starred, thumb_width, thumb_height, thumb";
constexpr std::string_view kNotSaved = "The library could not be saved";
constexpr std::string_view kNotRead = "The library could not be read";
constexpr CodecLimits kRequestLimits{.maxBytes = std::size_t{2} << 20};

/// Caseless and compatibility-folded, so that "Été" finds "été". Bytes that are no UTF-8 are compared as they
/// are.
std::string folded(std::string_view text) {
    utf8proc_uint8_t* out = nullptr;
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE |
                                                        UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    const utf8proc_ssize_t length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                                 static_cast<utf8proc_ssize_t>(text.size()), &out, options);
    std::string result =
        length >= 0 ? std::string(reinterpret_cast<const char*>(out), static_cast<std::size_t>(length))
                    : std::string(text);
    std::free(out);
    return result;
}

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> list;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(" \t\r\n", at)) != std::string_view::npos) {
        const std::size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
        list.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return list;
}

/// A row whose settings or thumbnail are damaged is told by nullopt; the next scan reads the file again.
std::optional<Clip> readRow(const db::Statement& s) {
    Clip clip;
    clip.id = s.integer(0);
    clip.file = s.text(1);
    clip.fileBytes = static_cast<std::uint64_t>(s.integer(2));
    clip.fileMillis = s.integer(3);
    const auto map = parseJson(s.text(4), kRequestLimits);
    if (!map)
        return std::nullopt;
    auto request = generationRequestFromValue(*map);
    if (!request)
        return std::nullopt;
    clip.request = std::move(*request);
    clip.modelLabel = s.text(5);
    clip.makeSeconds = s.real(6);
    clip.madeAtMillis = s.integer(7);
    clip.starred = s.integer(8) != 0;
    const auto pixels = s.blob(11);
    const std::int64_t w = s.integer(9);
    const std::int64_t h = s.integer(10);
    if (w > 0 && h > 0 && w <= Thumbnail::kMaxSide && h <= Thumbnail::kMaxSide &&
        static_cast<std::int64_t>(pixels.size()) == w * h * 3)
        clip.thumbnail = {static_cast<int>(w), static_cast<int>(h), {pixels.begin(), pixels.end()}};
    return clip;
}

std::int64_t modifiedMillis(const std::filesystem::directory_entry& entry, std::error_code& ec) {
    const auto time = entry.last_write_time(ec);
    if (ec)
        return 0;
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::file_clock::to_sys(time).time_since_epoch())
        .count();
}

} // namespace

struct ClipLibrary::Impl {
    std::unique_ptr<db::Database> database;
    mutable std::mutex mutex; ///< guards the counters and the order of statements
    mutable std::int64_t seenDataVersion = 0;
    mutable std::uint64_t changes = 0;

    sqlite3* handle() const { return database->handle(); }

    Result<void> run(db::Statement& s) {
        s.step();
        if (s.failed())
            return database->error(kNotSaved);
        ++changes;
        return {};
    }
};

ClipLibrary::ClipLibrary(std::unique_ptr<Impl> impl)
    : m_impl(std::move(impl)) {}
ClipLibrary::~ClipLibrary() = default;

Result<std::unique_ptr<ClipLibrary>> ClipLibrary::open(const std::filesystem::path& file,
                                                       bool* rebuildNeeded) {
    bool unused = false;
    bool& rebuild = rebuildNeeded ? *rebuildNeeded : unused;
    rebuild = false;
    const auto openOnce = [&](bool& damaged) -> Result<std::unique_ptr<db::Database>> {
        auto database = db::Database::open(file, damaged);
        if (!database)
            return database;
        const std::int64_t version = (*database)->userVersion();
        if (version > kSchemaVersion)
            return makeError(
                ErrorCode::Unsupported,
                "The library was written by a newer Canopy (its version is " + std::to_string(version) +
                    ", this program knows " + std::to_string(kSchemaVersion) +
                    "); update this program, or move the file away, it is made again from the clips: " +
                    file.string());
        if (version == 0) {
            db::Transaction transaction(**database);
            if (!transaction.begun() || ((*database)->userVersion() == 0 && !(*database)->run(kSchema)) ||
                !transaction.commit())
                return (*database)->error("The library could not be made");
            rebuild = true;
        }
        db::Statement probe((*database)->handle(),
                            "SELECT " + std::string(kColumns) + ", folded_prompt FROM clips LIMIT 1");
        probe.step();
        if (probe.failed()) {
            damaged = true;
            return makeError(ErrorCode::Malformed,
                             "The library has not the expected table: " + file.string());
        }
        return database;
    };
    bool damaged = false;
    auto database = openOnce(damaged);
    if (!database && damaged) {
        const auto aside = db::moveDamagedAside(file);
        if (!aside)
            return aside.error();
        logWarning("project",
                   "The library was damaged and is made again from the clips; the damaged file was kept: " +
                       aside->string());
        database = openOnce(damaged);
    }
    if (!database)
        return database.error();
    auto impl = std::make_unique<Impl>();
    impl->database = std::move(*database);
    impl->seenDataVersion = impl->database->dataVersion();
    return std::unique_ptr<ClipLibrary>(new ClipLibrary(std::move(impl)));
}

Result<std::int64_t> ClipLibrary::add(const Clip& clip) {
    const std::lock_guard lock(m_impl->mutex);
    GenerationRequest stored = clip.request;
    stored.resumeLatentsPath.clear();
    stored.resumeStatePath.clear();
    stored.imagePixelsPath.clear();
    db::Statement s(
        m_impl->handle(),
        "INSERT INTO clips(file, file_bytes, file_ms, request, folded_prompt, model_label, make_seconds, "
        "made_ms, starred, thumb_width, thumb_height, thumb) VALUES(?,?,?,?,?,?,?,?,?,?,?,?) "
        "ON CONFLICT(file) DO UPDATE SET file_bytes = excluded.file_bytes, file_ms = excluded.file_ms, "
        "request = excluded.request, folded_prompt = excluded.folded_prompt, "
        "model_label = excluded.model_label, make_seconds = excluded.make_seconds, "
        "made_ms = excluded.made_ms, thumb_width = excluded.thumb_width, "
        "thumb_height = excluded.thumb_height, thumb = excluded.thumb RETURNING id");
    s.bind(clip.file.native()).bind(static_cast<std::int64_t>(clip.fileBytes)).bind(clip.fileMillis);
    s.bind(toJson(toValue(stored))).bind(folded(clip.request.prompt)).bind(clip.modelLabel);
    s.bind(clip.makeSeconds).bind(clip.madeAtMillis).bind(std::int64_t{clip.starred});
    s.bind(std::int64_t{clip.thumbnail.width}).bind(std::int64_t{clip.thumbnail.height});
    s.bind(std::span<const std::uint8_t>(clip.thumbnail.rgb));
    if (!s.step())
        return m_impl->database->error(kNotSaved);
    const std::int64_t id = s.integer(0);
    if (s.step() || s.failed()) // the row is durable only when the statement has run to its end
        return m_impl->database->error(kNotSaved);
    ++m_impl->changes;
    return id;
}

Result<std::vector<Clip>> ClipLibrary::clips(std::string_view search, bool starredOnly) const {
    const std::lock_guard lock(m_impl->mutex);
    const std::vector<std::string> wanted = words(folded(search));
    std::string sql = "SELECT " + std::string(kColumns) + " FROM clips WHERE (starred OR NOT ?)";
    for (std::size_t i = 0; i < wanted.size(); ++i)
        sql += " AND instr(folded_prompt, ?) > 0";
    sql += " ORDER BY made_ms DESC, id DESC";
    db::Statement s(m_impl->handle(), sql);
    s.bind(std::int64_t{starredOnly});
    for (const std::string& word : wanted)
        s.bind(word);
    std::vector<Clip> list;
    while (s.step())
        if (auto clip = readRow(s))
            list.push_back(std::move(*clip));
    if (s.failed())
        return m_impl->database->error(kNotRead);
    return list;
}

Result<std::optional<Clip>> ClipLibrary::find(std::int64_t id) const {
    const std::lock_guard lock(m_impl->mutex);
    db::Statement s(m_impl->handle(), "SELECT " + std::string(kColumns) + " FROM clips WHERE id = ?");
    s.bind(id);
    if (s.step())
        return readRow(s);
    if (s.failed())
        return m_impl->database->error(kNotRead);
    return std::optional<Clip>();
}

Result<void> ClipLibrary::setStarred(std::int64_t id, bool starred) {
    const std::lock_guard lock(m_impl->mutex);
    db::Statement s(m_impl->handle(), "UPDATE clips SET starred = ? WHERE id = ?");
    s.bind(std::int64_t{starred}).bind(id);
    return m_impl->run(s);
}

Result<void> ClipLibrary::forget(std::int64_t id) {
    const std::lock_guard lock(m_impl->mutex);
    db::Statement s(m_impl->handle(), "DELETE FROM clips WHERE id = ?");
    s.bind(id);
    return m_impl->run(s);
}

std::uint64_t ClipLibrary::changeCounter() const {
    const std::lock_guard lock(m_impl->mutex);
    const std::int64_t version = m_impl->database->dataVersion();
    if (version != m_impl->seenDataVersion) {
        m_impl->seenDataVersion = version;
        ++m_impl->changes;
    }
    return m_impl->changes;
}

Result<ClipLibrary::ScanResult> ClipLibrary::scan(const std::filesystem::path& folder, const ReadClip& read) {
    struct Known {
        std::int64_t id;
        std::int64_t bytes;
        std::int64_t millis;
    };
    std::map<std::filesystem::path, Known> known; ///< rows of this folder
    {
        const std::lock_guard lock(m_impl->mutex);
        db::Statement s(m_impl->handle(), "SELECT id, file, file_bytes, file_ms FROM clips");
        while (s.step())
            if (std::filesystem::path file = s.text(1); file.parent_path() == folder)
                known.emplace(std::move(file), Known{s.integer(0), s.integer(2), s.integer(3)});
        if (s.failed())
            return m_impl->database->error(kNotRead);
    }
    ScanResult result;
    std::error_code ec;
    std::filesystem::directory_iterator it(folder, ec);
    if (ec == std::errc::no_such_file_or_directory)
        return result; // not made yet, or its drive is away: the rows and their stars stay
    if (ec)
        return makeError(ErrorCode::Io, "The clip folder cannot be read (" + ec.message() +
                                            "); check its permissions: " + folder.string());
    // Reading a clip takes milliseconds: no lock is held meanwhile.
    for (; it != std::filesystem::directory_iterator(); it.increment(ec)) {
        if (ec)
            break;
        if (it->path().extension() != ".mp4" || !it->is_regular_file(ec))
            continue;
        const auto bytes = static_cast<std::int64_t>(it->file_size(ec));
        const std::int64_t millis = modifiedMillis(*it, ec);
        const auto row = known.find(it->path());
        const std::int64_t oldId = row == known.end() ? 0 : row->second.id;
        const bool same = row != known.end() && row->second.bytes == bytes && row->second.millis == millis;
        if (row != known.end())
            known.erase(row);
        if (same)
            continue;
        auto clip = read(it->path());
        if (!clip && oldId != 0) { // replaced by something that is not ours
            if (auto done = forget(oldId); !done)
                return done.error();
            ++result.removed;
        }
        if (!clip) {
            ++result.skipped;
            continue;
        }
        clip->file = it->path();
        clip->fileBytes = static_cast<std::uint64_t>(bytes);
        clip->fileMillis = millis;
        if (auto id = add(*clip); !id)
            return id.error();
        ++result.added;
    }
    for (const auto& [file, row] : known) {
        if (auto done = forget(row.id); !done)
            return done.error();
        ++result.removed;
    }
    return result;
}

} // namespace canopy
