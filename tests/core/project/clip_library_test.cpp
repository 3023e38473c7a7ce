#include <doctest/doctest.h>

#include <fstream>

#include "core/project/clip_library.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using test::TempFolder;

namespace {

Clip clip(const std::filesystem::path& file, const std::string& prompt, std::int64_t madeAt) {
    Clip c;
    c.file = file;
    c.request.prompt = prompt;
    c.request.seed = 9;
    c.request.width = 320;
    c.modelLabel = "Starter";
    c.makeSeconds = 12.5;
    c.madeAtMillis = madeAt;
    c.thumbnail = {2, 1, {1, 2, 3, 4, 5, 6}};
    return c;
}

std::unique_ptr<ClipLibrary> openLibrary(const std::filesystem::path& file, bool* rebuild = nullptr) {
    auto library = ClipLibrary::open(file, rebuild);
    REQUIRE(library.ok());
    return std::move(*library);
}

} // namespace

TEST_CASE("clips come back newest first, are found by words of the prompt and keep their star") {
    TempFolder folder;
    bool rebuild = false;
    auto library = openLibrary(folder / "clips.sqlite3", &rebuild);
    CHECK(rebuild);
    const auto id = *library->add(clip("/c/a.mp4", "\xC3\x89t\xC3\xA9 on the SEA", 100));
    REQUIRE(library->add(clip("/c/b.mp4", "a red fox_1 100%", 200)).ok());
    const auto all = *library->clips();
    REQUIRE(all.size() == 2);
    CHECK(all[0].file == "/c/b.mp4");
    CHECK(all[1].thumbnail == Thumbnail{2, 1, {1, 2, 3, 4, 5, 6}});
    CHECK(all[1].request == clip("/c/a.mp4", "\xC3\x89t\xC3\xA9 on the SEA", 100).request);
    CHECK(all[1].makeSeconds == 12.5);
    CHECK(library->clips("sea \xC3\xA9T\xC3\xA9")->size() == 1);
    CHECK(library->clips("sea fox")->empty());
    CHECK(library->clips("%")->size() == 1); // no wildcards
    CHECK(library->clips("_")->size() == 1);
    CHECK(library->clips("'; DROP")->empty());
    REQUIRE(library->setStarred(id, true));
    CHECK(library->clips({}, true)->size() == 1);
    REQUIRE(library->add(clip("/c/a.mp4", "again", 300)).ok());
    CHECK((*library->find(id))->starred);
    CHECK((*library->find(id))->request.prompt == "again");
    REQUIRE(library->forget(id));
    CHECK(library->clips()->size() == 1);
    library.reset();
    openLibrary(folder / "clips.sqlite3", &rebuild);
    CHECK_FALSE(rebuild);
}

TEST_CASE("a scan brings the index in line with the folder") {
    TempFolder folder;
    TempFolder clips;
    auto library = openLibrary(folder / "clips.sqlite3");
    const auto write = [&](const char* name, const std::string& text) {
        std::ofstream(clips / name) << text;
    };
    write("a.mp4", "ours: a boat");
    write("b.mp4", "ours: a bird");
    write("c.mp4", "something else");
    write("d.mp4.part", "ours: half");
    int reads = 0;
    const ClipLibrary::ReadClip read = [&](const std::filesystem::path& file) -> Result<Clip> {
        ++reads;
        std::string text;
        std::ifstream in(file);
        std::getline(in, text);
        if (text.rfind("ours: ", 0) != 0)
            return makeError(ErrorCode::NotFound, "not ours");
        return clip(file, text.substr(6), 1);
    };
    auto result = *library->scan(clips.path(), read);
    CHECK(result.added == 2);
    CHECK(result.skipped == 1);
    CHECK(reads == 3);
    const auto boat = library->clips("boat")->at(0);
    REQUIRE(library->setStarred(boat.id, true));

    reads = 0;
    write("a.mp4", "ours: a longer boat");
    std::filesystem::remove(clips / "b.mp4");
    result = *library->scan(clips.path(), read);
    CHECK(result.added == 1);
    CHECK(result.removed == 1);
    CHECK(reads == 2); // the replaced one and the foreign one
    REQUIRE(library->clips()->size() == 1);
    CHECK(library->clips()->at(0).request.prompt == "a longer boat");
    CHECK(library->clips()->at(0).starred);

    // Rebuilt from nothing.
    library.reset();
    std::ofstream(folder / "clips.sqlite3", std::ios::binary) << std::string(5000, 'x');
    bool rebuild = false;
    library = openLibrary(folder / "clips.sqlite3", &rebuild);
    CHECK(rebuild);
    CHECK(library->scan(clips.path(), read)->added == 1);

    // A folder that is away takes nothing out.
    std::filesystem::remove_all(clips.path());
    CHECK(library->scan(clips.path(), read)->removed == 0);
    CHECK(library->clips()->size() == 1);
}
