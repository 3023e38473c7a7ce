#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/job/generation_request.h"

namespace canopy {

/// Tightly packed 8-bit RGB rows.
struct Thumbnail {
    static constexpr int kMaxSide = 256;
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> rgb;
    bool operator==(const Thumbnail&) const = default;
};

/// One finished clip as the library shows it.
struct Clip {
    std::int64_t id = 0; ///< of the row; changes when the index is rebuilt
    std::filesystem::path file;
    std::uint64_t fileBytes = 0;
    std::int64_t fileMillis = 0; ///< modification time; with the size tells a replaced file
    GenerationRequest request;   ///< prompt, seed, size, frames, fps ...
    std::string modelLabel;
    double makeSeconds = 0; ///< how long it took to make; 0 = not known
    std::int64_t madeAtMillis = 0;
    bool starred = false;
    Thumbnail thumbnail;
};

/// Index of finished clips. Everything but the stars can be made again from the files. Thread-safe; the
/// window and the command line may use it at once.
class ClipLibrary {
public:
    /// A damaged or older index is moved aside or emptied: `rebuildNeeded` tells to scan.
    static Result<std::unique_ptr<ClipLibrary>> open(const std::filesystem::path& file,
                                                     bool* rebuildNeeded = nullptr);
    ~ClipLibrary();
    ClipLibrary(const ClipLibrary&) = delete;
    ClipLibrary& operator=(const ClipLibrary&) = delete;

    /// Adds, or replaces the row of the same file (the star stays).
    Result<std::int64_t> add(const Clip& clip);
    /// Newest first. `search`: every word must stand in the prompt, whatever its case; empty = all.
    Result<std::vector<Clip>> clips(std::string_view search = {}, bool starredOnly = false) const;
    Result<std::optional<Clip>> find(std::int64_t id) const;
    Result<void> setStarred(std::int64_t id, bool starred);
    Result<void> forget(std::int64_t id); ///< takes the row out; the file stays
    /// Goes up with every change by this or any other process.
    std::uint64_t changeCounter() const;

    struct ScanResult {
        int added = 0;
        int removed = 0; ///< rows whose file is gone
        int skipped = 0; ///< MP4 files that are no clips of ours
    };
    /// Reads one file into a row; an error means "not one of ours".
    using ReadClip = std::function<Result<Clip>(const std::filesystem::path& file)>;
    /// Brings the index in line with the `*.mp4` files of the folder (not below it): new and replaced ones
    /// are read, rows of this folder whose file is gone are dropped.
    Result<ScanResult> scan(const std::filesystem::path& folder, const ReadClip& read);

private:
    struct Impl;
    explicit ClipLibrary(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace canopy
