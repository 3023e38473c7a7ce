// 2,000 damaged videos through the way that questions take: an error with a sentence or frames that keep
// their promises, nothing opened beside the one file, no connection. Meant to run under sanitizers as well.
// The same videos every time; CANOPY_FUZZ_FROM and CANOPY_FUZZ_COUNT choose others or fewer.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/media/sampled_frames.h"
#include "tests/core/media/watched_calls.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::media;
using test::TempFolder;
using test::WatchedCalls;

namespace {

int numberFrom(const char* name, int otherwise) {
    const char* value = std::getenv(name);
    return value && *value ? std::atoi(value) : otherwise;
}

/// Small whole videos, one for each demuxer, decoder and table that a file can bring along.
std::vector<std::string> wholeVideos(const TempFolder& folder) {
    const std::string source = "-f lavfi -i testsrc2=s=64x48:r=10:d=1.2 ";
    const std::string commands[] = {
        source + "-g 5 -bf 2 ",
        source + "-movflags +faststart -g 4 ",
        source + "-movflags frag_keyframe+empty_moov -g 4 ",
        source + "-f lavfi -i sine=d=1.2 -metadata:s:v rotate=90 -shortest ",
        source + "-ss 0.35 -g 12 -metadata comment=x ",
        source + "-c:v libx265 -x265-params log-level=none ",
        source + "-c:v mpeg4 ",
        source + "-c:v png ",
        source + "-c:v ffv1 ",
        source + "-c:v libvpx-vp9 -deadline realtime ",
        source + "-g 3 ",
    };
    const char* endings[] = {"mp4", "mp4", "mp4", "mp4", "mp4", "mp4", "mov", "mov", "mkv", "webm", "mkv"};
    // Without random identifiers and times, so that each number gives the same damaged video every time.
    const std::string same = "-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -threads 1 ";
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::size(commands); ++i) {
        const auto file = folder / ("whole" + std::to_string(i) + "." + endings[i]);
        const std::string command =
            "ffmpeg -nostdin -v error -y " + commands[i] + same + file.string() + " 2>/dev/null";
        REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
        const auto bytes = readTextFile(file, std::uint64_t{16} << 20);
        REQUIRE(bytes.ok());
        out.push_back(*bytes);
    }
    return out;
}

/// One to four damages: bytes, extreme numbers in the tables, parts cut out, doubled or exchanged, a cut end.
void damage(std::string& bytes, std::mt19937& random) {
    static constexpr std::string_view kTables[] = {"stts", "ctts", "stsc", "stsz", "stco", "stss", "elst",
                                                   "mdhd", "tkhd", "trak", "avcC", "hvcC", "stsd", "trun",
                                                   "tfhd", "moof", "mdat", "moov", "colr", "udta"};
    static constexpr std::uint32_t kExtremes[] = {0,          1,          0x7FFFFFFF, 0x80000000,
                                                  0xFFFFFFFF, 0xFFFFFFF0, 0x10000};
    const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random()) % n; };
    const auto anywhere = [&] {
        // Heads hold more that can go wrong than pictures do.
        return below(random() % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 1500));
    };
    for (unsigned n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
        const std::size_t at = anywhere();
        const std::size_t length = 1 + below(std::min<std::size_t>(bytes.size() - at, 400));
        switch (random() % 7) {
        case 0:
            for (unsigned k = 1 + random() % 20; k > 0; --k)
                bytes[anywhere()] ^= static_cast<char>(1u << random() % 8);
            break;
        case 1:
            for (std::size_t k = 0; k < std::min<std::size_t>(length, 16); ++k)
                bytes[at + k] = static_cast<char>(random());
            break;
        case 2: {
            const auto table = bytes.find(kTables[below(std::size(kTables))]);
            if (table == std::string::npos)
                break;
            // Before the name lies the size, behind it flags, counts and entries.
            const std::size_t field = table + 4 * below(8) - (table >= 4 && random() % 4 == 0 ? 4 : 0);
            const std::uint32_t value = kExtremes[below(std::size(kExtremes))];
            for (std::size_t k = 0; k < 4 && field + k < bytes.size(); ++k)
                bytes[field + k] = static_cast<char>(value >> (24 - 8 * k));
            break;
        }
        case 3:
            bytes.erase(at, length);
            break;
        case 4:
            bytes.insert(at, bytes.substr(at, length));
            break;
        case 5: {
            const std::size_t other = anywhere();
            for (std::size_t k = 0; k < length && other + k < bytes.size() && at + k < bytes.size(); ++k)
                std::swap(bytes[at + k], bytes[other + k]);
            break;
        }
        default:
            if (random() % 3 == 0)
                bytes.resize(at);
        }
    }
}

void checkPromises(const SampledFrames& frames, int size) {
    const std::size_t count = frames.frameIndex.size();
    CHECK(count > 0);
    CHECK(frames.rgb.size() == count * static_cast<std::size_t>(size * size * 3));
    CHECK(frames.frameSeconds.size() == count);
    CHECK(std::is_sorted(frames.frameIndex.begin(), frames.frameIndex.end()));
    CHECK(std::is_sorted(frames.frameSeconds.begin(), frames.frameSeconds.end()));
    CHECK(frames.frameIndex.front() >= 0);
    CHECK(frames.frameIndex.back() < frames.videoFrames);
    CHECK(std::isfinite(frames.videoSeconds));
    for (const auto& note : frames.notes)
        CHECK(note.ends_with('.'));
}

} // namespace

TEST_CASE("damaged videos end in a sentence or in frames, and open nothing else") {
    TempFolder folder;
    const auto whole = wholeVideos(folder);
    const int from = numberFrom("CANOPY_FUZZ_FROM", 0);
    const int count = numberFrom("CANOPY_FUZZ_COUNT", 2000);
    const auto file = folder / "damaged.mp4";
    int read = 0, noted = 0;
    double slowest = 0;
    std::set<std::string> sentences;
    for (int i = from; i < from + count; ++i) {
        CAPTURE(i);
        std::mt19937 random(static_cast<std::uint32_t>(i));
        std::string bytes = whole[static_cast<std::size_t>(i) % whole.size()];
        damage(bytes, random);
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
        const WatchedCalls calls(file.string());
        const double start = steadySeconds();
        const auto frames = readSampledFrames(
            file, 4, i % 3 == 0 ? FrameSampling::Time : FrameSampling::Index, 24, i % 5 != 0);
        slowest = std::max(slowest, steadySeconds() - start);
        CHECK(calls.allowedOpens() >= 1);
        for (const auto& other : calls.others())
            FAIL_CHECK("video ", i, " made the reader call: ", other);
        if (frames) {
            ++read;
            noted += !frames->notes.empty();
            checkPromises(*frames, 24);
            if (i % 4 == 0) {
                const auto again = readSampledFrames(
                    file, 4, i % 3 == 0 ? FrameSampling::Time : FrameSampling::Index, 24, i % 5 != 0);
                REQUIRE(again.ok());
                CHECK(again->rgb == frames->rgb);
                CHECK(again->notes == frames->notes);
            }
            continue;
        }
        const std::string& message = frames.error().message;
        CHECK(message.size() > 30);
        CHECK(frames.error().code != ErrorCode::Internal);
        sentences.insert(message.substr(0, message.find(file.string())));
    }
    MESSAGE(count, " damaged videos: ", read, " gave frames (", noted, " with notes), ", count - read,
            " an error of ", sentences.size(), " kinds; the slowest took ", slowest, " s");
    if (count >= 500) {
        CHECK(read > count / 20);
        CHECK(read < count);
        CHECK(sentences.size() > 3);
    }
}

TEST_CASE("the watch sees what it must see") {
    TempFolder folder;
    std::ofstream(folder / "a") << "a";
    const WatchedCalls calls((folder / "b").string());
    const auto text = readTextFile(folder / "a", 10);
    CHECK(text.ok());
    REQUIRE(calls.others().size() == 1);
    CHECK(calls.others()[0] == "open " + (folder / "a").string());
}
