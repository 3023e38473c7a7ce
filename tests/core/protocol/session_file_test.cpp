#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "core/base/files.h"
#include "core/protocol/checksum.h"
#include "core/protocol/messages.h"
#include "core/protocol/session_file.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::protocol;

namespace {

Value progress(int unit) {
    return toValue(WorkerMessage(Progress{1, Stage::Denoise, unit, 30, 0, 0, 0.5, 0, 0, 0}));
}

std::vector<std::uint8_t> picture(std::uint8_t shade) {
    return std::vector<std::uint8_t>(300, shade);
}

/// 20 messages and two blobs; the file's bytes.
std::vector<std::uint8_t> smallRecording(const std::filesystem::path& path, bool finished) {
    auto writer = *SessionWriter::create(path, {SessionLevel::State});
    for (int i = 0; i < 20; ++i) {
        writer->message(i * 0.5, "worker/progress", progress(i));
        if (i == 5 || i == 10) {
            writer->blob("preview", blobHash(picture(std::uint8_t(i))), picture(std::uint8_t(i)));
        }
    }
    const std::uint64_t beforeIndex = writer->bytesWritten();
    REQUIRE(writer->finish());
    auto bytes = *readFile(path, 1 << 20);
    if (!finished) {
        bytes.resize(beforeIndex);
    }
    return bytes;
}

/// Thousands of damaged copies need no fsync; a new file instead of a truncated one, which ext4 would flush.
void writeQuickly(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
    std::filesystem::remove(path);
    std::ofstream out(path, std::ios::binary);
    for (const std::uint8_t byte : bytes) {
        out.put(static_cast<char>(byte));
    }
    REQUIRE(out.good());
}

/// Opens whatever it is; returns how many messages read well and are among those that were written.
int readable(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes, bool& foreign) {
    writeQuickly(path, bytes);
    const auto reader = SessionReader::open(path);
    if (!reader) {
        return -1;
    }
    std::set<std::int64_t> seen;
    for (std::size_t i = 0; i < reader->entries().size(); ++i) {
        const auto message = reader->message(i);
        if (!message) {
            continue;
        }
        const std::int64_t unit = (*message)["unit"].asInt();
        foreign = foreign || *message != progress(static_cast<int>(unit));
        seen.insert(unit);
    }
    for (const std::uint8_t shade : {5, 10}) {
        const auto blob = reader->blob(blobHash(picture(shade)));
        foreign = foreign || (blob && *blob != picture(shade));
    }
    return static_cast<int>(seen.size());
}

} // namespace

TEST_CASE("a recording gives back its messages and blobs") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    smallRecording(path, true);
    const auto reader = SessionReader::open(path);
    REQUIRE(reader);
    CHECK(!reader->indexRebuilt());
    CHECK(reader->damagedPlaces() == 0);
    REQUIRE(reader->entries().size() == 20);
    CHECK(reader->entries()[7].topic == "worker/progress");
    CHECK(reader->entries()[7].seconds == 3.5);
    CHECK(*reader->message(7) == progress(7));
    CHECK(*reader->blob(blobHash(picture(10))) == picture(10));
    CHECK(reader->hasBlob(blobHash(picture(5))));
    const auto none = reader->blob(123);
    REQUIRE(!none);
    CHECK(none.error().code == ErrorCode::NotFound);
    CHECK(!reader->message(20));
}

TEST_CASE("without its index a recording is scanned and says the same") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    const auto bytes = smallRecording(path, false);
    REQUIRE(writeFileAtomically(path, bytes));
    const auto reader = SessionReader::open(path);
    REQUIRE(reader);
    CHECK(reader->indexRebuilt());
    CHECK(reader->damagedPlaces() == 0);
    REQUIRE(reader->entries().size() == 20);
    CHECK(reader->entries()[7].topic == "worker/progress");
    CHECK(reader->entries()[7].seconds == 3.5);
    CHECK(*reader->message(19) == progress(19));
    CHECK(*reader->blob(blobHash(picture(5))) == picture(5));
}

TEST_CASE("cut anywhere, a recording loses the record that was cut and those after it, no other") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    const auto bytes = smallRecording(path, false);
    bool foreign = false;
    int before = 0;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const int count =
            readable(path, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}, foreign);
        if (size < 16) {
            CHECK(count == -1);
            continue;
        }
        CHECK(count >= before);     // more bytes never mean less
        CHECK(count <= before + 1); // each record appears as soon as it is whole
        before = count;
    }
    CHECK(before == 20);
    CHECK(!foreign);
}

TEST_CASE("a flipped bit costs at most the record it lies in") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    for (const bool finished : {true, false}) {
        const auto bytes = smallRecording(path, finished);
        bool foreign = false;
        for (std::size_t at = 0; at < bytes.size(); ++at) {
            auto copy = bytes;
            copy[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
            const int count = readable(path, copy, foreign);
            if (at < 12) {
                CHECK(count == -1); // magic and version
            } else {
                CAPTURE(at);
                CHECK(count >= 19);
            }
        }
        CHECK(!foreign);
    }
}

TEST_CASE("random damage never crashes the reader") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    const auto bytes = smallRecording(path, true);
    std::mt19937 random(11);
    bool foreign = false;
    for (int round = 0; round < 500; ++round) {
        auto copy = bytes;
        const std::size_t from = 16 + random() % (copy.size() - 16);
        const std::size_t to = std::min(copy.size(), from + random() % 400);
        for (std::size_t i = from; i < to; ++i) {
            copy[i] = static_cast<std::uint8_t>(random());
        }
        (void)readable(path, copy, foreign);
    }
    CHECK(!foreign);
}

TEST_CASE("levels decide what is kept") {
    const test::TempFolder folder;
    struct Row {
        SessionLevel level;
        std::size_t messages;
        bool preview;
        bool latents;
    };
    for (const Row& row :
         {Row{SessionLevel::Off, 0, false, false}, Row{SessionLevel::Scalars, 1, false, false},
          Row{SessionLevel::Masks, 1, true, false}, Row{SessionLevel::State, 1, true, true}}) {
        const auto path = folder.path() / "a.canopy";
        auto writer = *SessionWriter::create(path, {row.level});
        writer->message(0, "worker/progress", progress(1));
        writer->blob("preview", blobHash(picture(1)), picture(1));
        writer->blob("latents", blobHash(picture(2)), picture(2));
        REQUIRE(writer->finish());
        const auto reader = SessionReader::open(path);
        REQUIRE(reader);
        CHECK(reader->entries().size() == row.messages);
        CHECK(reader->hasBlob(blobHash(picture(1))) == row.preview);
        CHECK(reader->hasBlob(blobHash(picture(2))) == row.latents);
    }
}

TEST_CASE("the byte budget holds, index included, and the recording says what it left out") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    constexpr std::uint64_t kBudget = 100000;
    auto writer = *SessionWriter::create(path, {SessionLevel::State, kBudget});
    writer->blob("frame", 1, std::vector<std::uint8_t>(90000)); // fits
    writer->blob("frame", 1, std::vector<std::uint8_t>(90000)); // the same, stored once
    writer->blob("frame", 2, std::vector<std::uint8_t>(90000)); // does not
    for (int i = 0; i < 1000; ++i) {
        writer->message(i, "worker/progress", progress(i));
    }
    CHECK(writer->leftOut() > 900);
    REQUIRE(writer->finish());
    CHECK(std::filesystem::file_size(path) <= kBudget);
    const auto reader = SessionReader::open(path);
    REQUIRE(reader);
    CHECK(!reader->indexRebuilt());
    REQUIRE(reader->entries().size() > 5);
    const auto last = reader->message(reader->entries().size() - 1);
    REQUIRE(last);
    CHECK((*last)["type"].asString() == "recording_cut");
    CHECK((*last)["left_out"].asInt() == std::int64_t(writer->leftOut()));
}

TEST_CASE("other files and newer versions are refused in words") {
    const test::TempFolder folder;
    const auto path = folder.path() / "a.canopy";
    REQUIRE(writeFileAtomically(path, std::string_view("this is text, and long enough")));
    const auto text = SessionReader::open(path);
    REQUIRE(!text);
    CHECK(text.error().code == ErrorCode::Malformed);

    auto bytes = smallRecording(path, true);
    bytes[8] = 2;
    REQUIRE(writeFileAtomically(path, bytes));
    const auto newer = SessionReader::open(path);
    REQUIRE(!newer);
    CHECK(newer.error().code == ErrorCode::Unsupported);
    CHECK(newer.error().message.find("version 2") != std::string::npos);

    CHECK(!SessionReader::open(folder.path() / "absent.canopy"));
    CHECK(!SessionReader::open(folder.path()));
    CHECK(!SessionWriter::create(folder.path() / "no" / "such" / "folder.canopy"));
}

TEST_CASE("the recording of every version opens") {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    REQUIRE(source != nullptr);
    const auto folder = std::filesystem::path(source) / "tests/data/sessions";
    int opened = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".canopy") {
            continue;
        }
        CAPTURE(entry.path().string());
        const auto reader = SessionReader::open(entry.path());
        REQUIRE(reader);
        CHECK(reader->damagedPlaces() == 0);
        std::map<std::string, int> types;
        int previews = 0;
        for (std::size_t i = 0; i < reader->entries().size(); ++i) {
            const auto message = reader->message(i);
            REQUIRE(message);
            const std::string type = (*message)["type"].asString();
            ++types[type];
            const bool fromClient = reader->entries()[i].topic.starts_with("client/");
            CHECK(reader->entries()[i].topic == (fromClient ? "client/" : "worker/") + type);
            if (fromClient) {
                CHECK(clientMessageFromValue(*message));
                continue;
            }
            const auto read = workerMessageFromValue(*message);
            REQUIRE(read);
            if (const auto* blob = std::get_if<BlobStart>(&*read);
                blob != nullptr && blob->kind == "preview") {
                const auto content = reader->blob(blob->hash);
                REQUIRE(content);
                CHECK(content->size() == blob->bytes);
                ++previews;
            }
        }
        CHECK(types["start_job"] == 1);
        CHECK(types["worker_hello"] == 1);
        CHECK(types["resolved"] == 1);
        CHECK(types["finished"] == 1);
        CHECK(types["progress"] >= 6);
        CHECK(previews >= 1);
        ++opened;
    }
    CHECK(opened >= 1);
}
