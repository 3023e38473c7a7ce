#include "core/media/clip_end.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "core/formats/safetensors.h"
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

/// One picture of an end.
std::vector<std::uint8_t> picture(const ClipEnd& end, int index) {
    const auto size = static_cast<std::ptrdiff_t>(end.rgb.size()) / end.frames;
    return {end.rgb.begin() + index * size, end.rgb.begin() + (index + 1) * size};
}

std::vector<std::uint8_t> shown(const std::filesystem::path& file, int frame) {
    auto reader = VideoReader::open(file);
    REQUIRE(reader.ok());
    auto read = (*reader)->frame(frame);
    REQUIRE(read.ok());
    return resizedToFill(*read, 32, 16).rgb;
}

} // namespace

TEST_CASE("the end of a video at its own rate is its last frames, cropped and scaled") {
    TempFolder folder;
    const auto file = folder / "clip.mp4";
    ffmpeg("-f lavfi -i testsrc2=s=96x80:r=16:d=2 -g 7 " + file.string());
    CHECK(*framesAtRate(file, 16) == 32);
    const auto end = readClipEnd(file, 5, 16, 32, 16);
    REQUIRE_MESSAGE(end.ok(), (end ? "" : end.error().message));
    REQUIRE(end->rgb.size() == 5u * 32 * 16 * 3);
    for (int i = 0; i < 5; ++i)
        CHECK(picture(*end, i) == shown(file, 27 + i));
}

TEST_CASE("at another rate things move as fast as in the video") {
    TempFolder folder;
    const auto file = folder / "clip.mkv"; // times in milliseconds
    ffmpeg("-f lavfi -i testsrc2=s=96x80:r=24:d=2 " + file.string());
    CHECK(*framesAtRate(file, 16) == 32); // the last of 48 begins at 47 / 24 s
    CHECK(*framesAtRate(file, 48) == 95);
    const auto half = readClipEnd(file, 5, 12, 32, 16);
    REQUIRE(half.ok());
    for (int i = 0; i < 5; ++i)
        CHECK(picture(*half, i) == shown(file, 39 + 2 * i));
    const auto twice = readClipEnd(file, 5, 48, 32, 16);
    REQUIRE(twice.ok());
    for (int i = 0; i < 5; ++i)
        CHECK(picture(*twice, i) == shown(file, 45 + i / 2));
}

TEST_CASE("a video that is too short or none at all is told, a stop is heard") {
    TempFolder folder;
    const auto file = folder / "clip.mp4";
    ffmpeg("-f lavfi -i testsrc2=s=96x80:r=16:d=0.5 " + file.string());
    const auto longer = readClipEnd(file, 9, 16, 32, 16);
    REQUIRE_FALSE(longer.ok());
    CHECK(longer.error().code == ErrorCode::InvalidArgument);
    CHECK(longer.error().message.find("has 8 pictures at 16 a second and 9") != std::string::npos);
    CHECK_FALSE(framesAtRate(folder / "none.mp4", 16).ok());
    std::stop_source stop;
    stop.request_stop();
    const auto stopped = readClipEnd(file, 5, 16, 32, 16, stop.get_token());
    REQUIRE_FALSE(stopped.ok());
    CHECK(stopped.error().code == ErrorCode::Cancelled);
}

TEST_CASE("the worker's file holds the pictures") {
    TempFolder folder;
    ClipEnd end{2, std::vector<std::uint8_t>(2 * 4 * 2 * 3)};
    for (std::size_t i = 0; i < end.rgb.size(); ++i)
        end.rgb[i] = static_cast<std::uint8_t>(i);
    REQUIRE(writeClipEnd(end, 4, 2, folder / "end.safetensors").ok());
    const auto file = SafetensorsFile::open(folder / "end.safetensors");
    REQUIRE(file.ok());
    const auto& info = file->header().tensors.at(0);
    CHECK(info.name == "frames");
    CHECK(info.shape == std::vector<std::uint64_t>{2, 2, 4, 3});
    std::vector<std::uint8_t> bytes(end.rgb.size());
    REQUIRE(file->read(info, bytes).ok());
    CHECK(bytes == end.rgb);
}
