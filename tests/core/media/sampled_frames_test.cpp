#include "core/media/sampled_frames.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <numeric>
#include <thread>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/media/pil_resize.h"
#include "core/media/video_reader.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::media;
using test::TempFolder;

namespace {

void ffmpeg(const std::string& arguments) {
    const std::string command = "ffmpeg -nostdin -v error -y " + arguments;
    REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
}

void writeBytes(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
}

std::string bytesOf(const std::filesystem::path& file) {
    auto text = readTextFile(file, std::uint64_t{64} << 20);
    REQUIRE(text.ok());
    return *text;
}

SampledFrames sampled(const std::filesystem::path& file, int count,
                      FrameSampling sampling = FrameSampling::Index, bool force = true, int size = 16) {
    auto frames = readSampledFrames(file, count, sampling, size, force);
    REQUIRE_MESSAGE(frames.ok(), (frames ? "" : frames.error().message));
    CHECK(frames->rgb.size() == frames->frameIndex.size() * static_cast<std::size_t>(size * size * 3));
    CHECK(frames->frameSeconds.size() == frames->frameIndex.size());
    return std::move(*frames);
}

std::string refusal(const std::filesystem::path& file) {
    const auto frames = readSampledFrames(file, 4, FrameSampling::Index, 16, true);
    REQUIRE(!frames.ok());
    return frames.error().message;
}

bool notes(const SampledFrames& frames, std::string_view part) {
    for (const auto& note : frames.notes)
        if (note.find(part) != std::string::npos)
            return true;
    return false;
}

std::vector<double> evenTimes(int frames, double fps) {
    std::vector<double> out;
    for (int i = 0; i < frames; ++i)
        out.push_back(i / fps);
    return out;
}

using Indices = std::vector<int>;
using Index64 = std::vector<std::int64_t>;

} // namespace

TEST_CASE("frames are spread as numpy's linspace spreads them") {
    const auto indices = [](int frames, int count) {
        return sampleIndices(evenTimes(frames, 16), 16, count, FrameSampling::Index, true);
    };
    CHECK(indices(97, 8) == Indices{0, 13, 27, 41, 54, 68, 82, 96});
    CHECK(indices(64, 8) == Indices{0, 9, 18, 27, 36, 45, 54, 63});
    CHECK(indices(5, 8) == Indices{0, 0, 1, 1, 2, 2, 3, 4});
    CHECK(indices(1, 4) == Indices{0, 0, 0, 0});
    CHECK(indices(10, 1) == Indices{0});
    const auto sum = [](const Indices& all) { return std::accumulate(all.begin(), all.end(), 0); };
    CHECK(sum(indices(480, 32)) == 7649);
    CHECK(sum(indices(1000, 64)) == 31941);
    CHECK(sum(indices(101, 101)) == 5050);
}

TEST_CASE("by time, the frame that is shown at each time is taken") {
    const std::vector<double> times = {0, 0.1, 0.2, 0.3, 2.0, 4.0};
    CHECK(sampleIndices(times, 1, 5, FrameSampling::Time, true) == Indices{0, 3, 4, 4, 5});
    CHECK(sampleIndices(times, 1, 3, FrameSampling::Index, true) == Indices{0, 2, 5});
    // One a second where that is fewer.
    CHECK(sampleIndices(times, 1, 8, FrameSampling::Time, false) == Indices{0, 3, 4, 4, 5});
    CHECK(sampleIndices(evenTimes(40, 15.6), 15.6, 8, FrameSampling::Index, false) == Indices{0, 16, 32});
    CHECK(sampleIndices(evenTimes(40, 2), 2, 8, FrameSampling::Index, false) ==
          Indices{0, 5, 11, 16, 22, 27, 33, 39});
    CHECK(sampleIndices(evenTimes(9, 0.4), 0.4, 9, FrameSampling::Index, false).size() == 9);
}

TEST_CASE("each frame is the reader's, scaled as Pillow does, with its own time") {
    TempFolder folder;
    const auto file = folder / "clip.mp4";
    ffmpeg("-f lavfi -i testsrc2=s=96x40:r=10:d=4 -g 7 " + file.string());
    const auto frames = sampled(file, 6);
    CHECK(frames.frameIndex == Index64{0, 7, 15, 23, 31, 39});
    CHECK(frames.videoFrames == 40);
    CHECK(frames.videoSeconds == doctest::Approx(4));
    CHECK(frames.videoWidth == 96);
    CHECK(frames.videoHeight == 40);
    CHECK(frames.notes.empty());
    auto reader = VideoReader::open(file);
    REQUIRE(reader.ok());
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK(frames.frameSeconds[i] == doctest::Approx(static_cast<double>(frames.frameIndex[i]) / 10));
        const auto frame = (*reader)->frame(static_cast<int>(frames.frameIndex[i]));
        REQUIRE(frame.ok());
        const auto scaled = pilBicubic(frame->rgb, 96, 40, 16, 16);
        CHECK(std::equal(scaled.begin(), scaled.end(),
                         frames.rgb.begin() + static_cast<std::ptrdiff_t>(i * scaled.size())));
    }
}

TEST_CASE("variable rate, rotation and sound beside") {
    TempFolder folder;
    const auto path = [&](const char* name) { return (folder / name).string(); };
    ffmpeg("-f lavfi -i testsrc=s=64x32:r=100:d=1 -vf \"select='eq(n,0)+eq(n,1)+eq(n,4)+eq(n,9)+eq(n,90)'\" "
           "-vsync vfr " +
           path("vfr.mp4"));
    const auto byIndex = sampled(folder / "vfr.mp4", 3);
    CHECK(byIndex.frameIndex == Index64{0, 2, 4});
    CHECK(byIndex.frameSeconds[1] == doctest::Approx(0.04).epsilon(0.02));
    const auto byTime = sampled(folder / "vfr.mp4", 3, FrameSampling::Time);
    CHECK(byTime.frameIndex == Index64{0, 3, 4});
    CHECK(byTime.frameSeconds[2] == doctest::Approx(0.9).epsilon(0.02));

    ffmpeg(
        "-f lavfi -i color=red:s=64x32:r=8:d=1 -f lavfi -i sine=d=1 -vf \"drawbox=w=32:color=blue:t=fill\" " +
        path("flat.mp4"));
    ffmpeg("-i " + path("flat.mp4") + " -c copy -metadata:s:v rotate=90 " + path("turned.mp4"));
    const auto turned = sampled(folder / "turned.mp4", 2);
    CHECK(turned.videoWidth == 32);
    CHECK(turned.videoHeight == 64);
    CHECK(notes(turned, "The sound was not used"));
    // Left and right halves became top and bottom.
    const auto at = [&](int x, int y, int c) {
        return int(turned.rgb[static_cast<std::size_t>((y * 16 + x) * 3 + c)]);
    };
    CHECK(std::abs(at(2, 2, 0) - at(13, 2, 0)) < 20);
    CHECK(std::abs(at(2, 2, 0) - at(2, 13, 0)) > 150);
}

TEST_CASE("what was not used is said") {
    TempFolder folder;
    const auto path = [&](const char* name) { return (folder / name).string(); };
    ffmpeg("-f lavfi -i testsrc=s=64x48:r=10:d=0.3 " + path("short.mp4"));
    const auto few = sampled(folder / "short.mp4", 8);
    CHECK(few.frameIndex == Index64{0, 0, 0, 0, 1, 1, 1, 2});
    CHECK(notes(few, "has only 3 frames and 8 were asked for"));
    CHECK(std::equal(few.rgb.begin(), few.rgb.begin() + 768, few.rgb.begin() + 768));
    const auto natural = sampled(folder / "short.mp4", 8, FrameSampling::Index, false);
    CHECK(natural.frameIndex == Index64{0});
    CHECK(notes(natural, "one a second, and not 8"));

    ffmpeg("-f lavfi -i testsrc2=s=64x48:r=10:d=8 -movflags +faststart " + path("whole.mp4"));
    const std::string bytes = bytesOf(folder / "whole.mp4");
    writeBytes(folder / "cut.mp4", bytes.substr(0, bytes.size() * 6 / 10));
    const auto cut = sampled(folder / "cut.mp4", 4);
    CHECK(notes(cut, "Only the first"));
    CHECK(cut.videoFrames < 80);
    CHECK(cut.frameIndex.back() == cut.videoFrames - 1);

    ffmpeg("-f lavfi -i color=s=7680x4320:r=2:d=1 -preset ultrafast " + path("8k.mp4"));
    const auto large = sampled(folder / "8k.mp4", 2);
    CHECK(large.videoWidth == 7680);
    CHECK(notes(large, "The pictures are 7680 x 4320 pixels"));
}

TEST_CASE("a frame that cannot be decoded is replaced by the readable one before it") {
    TempFolder folder;
    const auto file = folder / "png.mov";
    ffmpeg("-f lavfi -i testsrc2=s=64x48:r=10:d=1 -c:v png " + file.string());
    std::string bytes = bytesOf(file);
    // The pictures lie one after the other; those from the fifth to the seventh lose their head.
    std::size_t at = 0;
    for (int i = 0; i < 7; ++i) {
        at = bytes.find("\x89PNG", at + 1);
        REQUIRE(at != std::string::npos);
        if (i >= 4)
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 200, '\0');
    }
    writeBytes(file, bytes);
    const auto frames = sampled(file, 10);
    CHECK(frames.frameIndex == Index64{0, 1, 2, 3, 3, 3, 3, 7, 8, 9});
    CHECK(frames.frameSeconds[5] == doctest::Approx(0.3));
    CHECK(notes(frames, "3 of 10 frames cannot be decoded (the first is frame 4)"));
    const auto ends = sampled(file, 2);
    CHECK(ends.frameIndex == Index64{0, 9});
    CHECK(ends.notes.empty());

    for (std::size_t head = bytes.find("\x89PNG"); head != std::string::npos;
         head = bytes.find("\x89PNG", head))
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(head), 200, '\0');
    writeBytes(file, bytes);
    CHECK(refusal(file).find("can be decoded; the file is damaged") != std::string::npos);
}

TEST_CASE("a file that holds no video has its sentence") {
    TempFolder folder;
    const auto path = [&](const char* name) { return (folder / name).string(); };
    CHECK_FALSE(refusal(folder / "nothing.mp4").empty());
    writeBytes(folder / "list.mp4", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n");
    CHECK(refusal(folder / "list.mp4").find("This is a playlist, not a video") == 0);
    ffmpeg("-f lavfi -i sine=d=1 " + path("sound.mp4"));
    CHECK(refusal(folder / "sound.mp4").find("only sound and no pictures") != std::string::npos);
    ffmpeg("-f lavfi -i color=s=32x32:r=10:d=1 -frames:v 0 " + path("none.mp4") + " 2>/dev/null || true");
    CHECK(refusal(folder / "none.mp4").find("no ") != std::string::npos);
    ffmpeg("-f lavfi -i color=s=9000x64:r=1:d=1 -preset ultrafast " + path("wide.mp4"));
    CHECK(refusal(folder / "wide.mp4").find("larger than 8192 x 4608") != std::string::npos);
    ffmpeg("-f lavfi -i testsrc=s=64x48:r=10:d=1 " + path("clip.mp4"));
    const std::string bytes = bytesOf(folder / "clip.mp4");
    writeBytes(folder / "head.mp4", bytes.substr(0, bytes.size() / 2)); // its index lies at the end
    CHECK(refusal(folder / "head.mp4").find("that is complete") != std::string::npos);
    CHECK_FALSE(readSampledFrames(folder / "clip.mp4", 0, FrameSampling::Index, 16, true).ok());
    CHECK_FALSE(readSampledFrames(folder / "clip.mp4", 4, FrameSampling::Index, 0, true).ok());
}

TEST_CASE("reading ends when it is asked to") {
    TempFolder folder;
    const auto file = folder / "long.mp4";
    ffmpeg("-f lavfi -i testsrc2=s=1280x720:r=25:d=12 -preset ultrafast -g 1000 " + file.string());
    std::stop_source stop;
    stop.request_stop();
    const auto none = readSampledFrames(file, 4, FrameSampling::Index, 16, true, stop.get_token());
    REQUIRE(!none.ok());
    CHECK(none.error().code == ErrorCode::Cancelled);
    std::stop_source later;
    const std::jthread asks([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        later.request_stop();
    });
    const auto cut = readSampledFrames(file, 300, FrameSampling::Index, 384, true, later.get_token());
    REQUIRE(!cut.ok());
    CHECK(cut.error().code == ErrorCode::Cancelled);
}

TEST_CASE("frames go to the worker as one tensor") {
    TempFolder folder;
    ffmpeg("-f lavfi -i testsrc=s=64x48:r=10:d=1 " + (folder / "clip.mp4").string());
    const auto frames = sampled(folder / "clip.mp4", 3);
    const auto file = folder / "frames.safetensors";
    REQUIRE(writeFramesFile(frames, file).ok());
    const auto read = SafetensorsFile::open(file);
    REQUIRE_MESSAGE(read.ok(), read.error().message);
    REQUIRE(read->header().tensors.size() == 1);
    const auto& tensor = read->header().tensors[0];
    CHECK(tensor.name == "frames");
    CHECK(tensor.dtype == DType::U8);
    CHECK(tensor.shape == std::vector<std::uint64_t>{3, 16, 16, 3});
    std::vector<std::uint8_t> pixels(tensor.bytes());
    REQUIRE(read->read(tensor, pixels).ok());
    CHECK(pixels == frames.rgb);
}
