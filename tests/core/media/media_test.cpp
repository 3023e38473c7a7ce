#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "core/base/files.h"
#include "core/media/clip_metadata.h"
#include "core/media/compare.h"
#include "core/media/image_reader.h"
#include "core/media/media_info.h"
#include "core/media/png_writer.h"
#include "core/media/video_reader.h"
#include "core/media/video_writer.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::media;
using test::TempFolder;

namespace {

/// A smooth picture that moves, with its number in two grey blocks at the upper left, a digit each.
Frame picture(int index, int width = 64, int height = 48) {
    Frame f{width, height, 0, {}};
    f.rgb.resize(f.byteCount());
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            auto* p = &f.rgb[static_cast<std::size_t>((y * width + x) * 3)];
            p[0] = static_cast<std::uint8_t>(128 + 100 * std::sin((x + index) * 0.1));
            p[1] = static_cast<std::uint8_t>(128 + 100 * std::sin((y + 2 * index) * 0.13));
            p[2] = static_cast<std::uint8_t>(60 + index);
            if (x < 32 && y < 16)
                p[0] = p[1] = p[2] = static_cast<std::uint8_t>(30 + 20 * (x < 16 ? index / 10 : index % 10));
        }
    return f;
}

int numberIn(const Frame& f) {
    const auto digit = [&](int x) {
        return static_cast<int>(
            std::lround((f.rgb[static_cast<std::size_t>((8 * f.width + x) * 3 + 1)] - 30) / 20.0));
    };
    return digit(8) * 10 + digit(24);
}

ClipMetadata metadata() {
    ClipMetadata m;
    m.request.set("version", 1);
    m.request.set("prompt", "a \"fox\" \xF0\x9F\xA6\x8A\n in the snow");
    m.request.set("guidance", 4.1);
    m.modelLabel = "Starter";
    m.program = "0.1.0";
    m.madeAtMillis = 1'700'000'000'123;
    return m;
}

VideoWriterOptions options(const std::filesystem::path& file, int frames) {
    VideoWriterOptions o;
    o.file = file;
    o.width = 64;
    o.height = 48;
    o.fps = 16;
    o.frames = frames;
    o.comment = toText(metadata());
    return o;
}

std::filesystem::path writeClip(const std::filesystem::path& file, int frames = 20) {
    auto writer = VideoWriter::create(options(file, frames));
    REQUIRE_MESSAGE(writer.ok(), (writer ? "" : writer.error().message));
    for (int i = 0; i < frames; ++i)
        REQUIRE((*writer)->write(picture(i)).ok());
    auto name = (*writer)->finish();
    REQUIRE_MESSAGE(name.ok(), (name ? "" : name.error().message));
    return *name;
}

std::string openError(const std::filesystem::path& file) {
    auto reader = VideoReader::open(file);
    return reader ? "" : reader.error().message;
}

template <typename T>
T taken(Result<T> result) {
    REQUIRE_MESSAGE(result.ok(), (result ? "" : result.error().message));
    return std::move(*result);
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

int countFiles(const std::filesystem::path& folder) {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// The program `ffmpeg` makes odd files that our writer never would.
void ffmpeg(const std::string& arguments) {
    const std::string command = "ffmpeg -nostdin -v error -y " + arguments;
    REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
}

void writeText(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
}

} // namespace

TEST_CASE("97 frames asked are 97 decoded, each the right one, with exact times and tags") {
    TempFolder folder;
    const auto file = writeClip(folder / "clip.mp4", 97);
    CHECK(file == folder / "clip.mp4");
    CHECK(countFiles(folder.path()) == 1); // no .part, no .tmp
    auto reader = taken(VideoReader::open(file));
    const VideoInfo& info = reader->info();
    CHECK(info.frames == 97);
    CHECK(info.width == 64);
    CHECK(info.height == 48);
    CHECK(info.fpsNumerator == 16 * info.fpsDenominator);
    CHECK(info.seconds == doctest::Approx(97 / 16.0));
    CHECK_FALSE(info.variableRate);
    CHECK_FALSE(info.hasAudio);
    CHECK(info.codec == "h264");
    CHECK(info.pixelFormat == "yuv420p");
    CHECK(info.colourSpace == "bt709");
    CHECK(info.colourPrimaries == "bt709");
    CHECK(info.colourTransfer == "bt709");
    CHECK(info.colourRange == "tv");
    CHECK(info.damage.empty());
    CHECK(*clipMetadataFromText(info.comment) == metadata());
    for (int i = 0; i < 97; ++i) {
        auto frame = reader->next();
        REQUIRE(frame.ok());
        REQUIRE(frame->has_value());
        CHECK(numberIn(**frame) == i);
        CHECK((*frame)->ptsNanos == i * 62'500'000LL);
        CHECK(reader->ptsNanos(i) == i * 62'500'000LL);
        CHECK(reader->frameAt(i * 62'500'000LL) == i);
        CHECK(reader->frameAt(i * 62'500'000LL + 62'000'000) == i);
    }
    CHECK_FALSE(reader->next()->has_value());

    // Other players see the same: the clip starts at 0 and has the index in front.
    const std::string probe =
        "test \"$(ffprobe -v error -show_entries stream=start_time,duration,nb_frames -of csv=p=0 " +
        file.string() + ")\" = 0.000000,6.062500,97";
    CHECK(std::system(probe.c_str()) == 0);
    const std::string bytes = *readTextFile(file, 10 << 20);
    CHECK(bytes.find("moov") < bytes.find("mdat"));

    // The picture itself survived: colours are near, so matrix and range are the same both ways.
    const Frame back = *reader->frame(40);
    const Frame sent = picture(40);
    double squares = 0;
    for (std::size_t i = 0; i < sent.rgb.size(); ++i)
        squares += std::pow(double(sent.rgb[i]) - double(back.rgb[i]), 2);
    CHECK(10 * std::log10(255 * 255 / (squares / double(sent.rgb.size()))) > 34);
}

TEST_CASE("any frame can be had in any order") {
    TempFolder folder;
    auto reader = taken(VideoReader::open(writeClip(folder / "clip.mp4", 60)));
    std::mt19937 random(3);
    for (int i = 0; i < 80; ++i) {
        const int wanted = static_cast<int>(random() % 60);
        const auto frame = reader->frame(wanted);
        REQUIRE(frame.ok());
        CHECK(numberIn(*frame) == wanted);
        CHECK(frame->ptsNanos == wanted * 62'500'000LL);
    }
    CHECK(numberIn(*reader->frame(59)) == 59);
    CHECK(numberIn(*reader->frame(0)) == 0);
    CHECK(numberIn(**reader->next()) == 1);
    CHECK_FALSE(reader->frame(60).ok());
    CHECK_FALSE(reader->frame(-1).ok());
}

TEST_CASE("the settings survive a remux by ffmpeg -c copy") {
    TempFolder folder;
    const auto file = writeClip(folder / "clip.mp4");
    ffmpeg("-i " + file.string() + " -c copy " + (folder / "copy.mp4").string());
    CHECK(*readClipMetadata(folder / "copy.mp4") == metadata());
    ffmpeg("-i " + file.string() + " -c copy " + (folder / "copy.mkv").string());
    CHECK(VideoReader::open(folder / "copy.mkv").ok());
}

TEST_CASE("settings from outside are read strictly") {
    CHECK(clipMetadataFromText("").error().code == ErrorCode::NotFound);
    CHECK(clipMetadataFromText("made with love").error().code == ErrorCode::NotFound);
    CHECK(clipMetadataFromText("{\"workflow\": 1}").error().code == ErrorCode::NotFound);
    CHECK(clipMetadataFromText("{\"canopy_clip\": 2, \"request\": {}}").error().code ==
          ErrorCode::Unsupported);
    for (const char* text :
         {"{", "{\"canopy_clip\": \"1\", \"request\": {}}", "{\"canopy_clip\": 1}",
          "{\"canopy_clip\": 1, \"request\": []}", "{\"canopy_clip\": 1, \"request\": {}, \"program\": 3}",
          "{\"canopy_clip\": 1, \"request\": {}, \"made_at\": 1.5}",
          "{\"canopy_clip\": 1, \"canopy_clip\": 1, \"request\": {}}"}) {
        CAPTURE(text);
        CHECK(clipMetadataFromText(text).error().code == ErrorCode::Malformed);
    }
    std::string deep = "{\"canopy_clip\": 1, \"request\": {\"a\": ";
    CHECK(clipMetadataFromText(deep + std::string(100, '[') + std::string(100, ']') + "}}").error().code ==
          ErrorCode::Malformed);
    CHECK(clipMetadataFromText("{" + std::string(2 << 20, ' ') + "}").error().code == ErrorCode::Malformed);
}

TEST_CASE("a taken name is never overwritten") {
    TempFolder folder;
    CHECK(writeClip(folder / "clip.mp4", 5) == folder / "clip.mp4");
    CHECK(writeClip(folder / "clip.mp4", 5) == folder / "clip-2.mp4");
    // Taken while the clip was being written.
    auto writer = taken(VideoWriter::create(options(folder / "late.mp4", 5)));
    writeText(folder / "late.mp4", "mine");
    for (int i = 0; i < 5; ++i)
        REQUIRE(writer->write(picture(i)).ok());
    CHECK(*writer->finish() == folder / "late-2.mp4");
    CHECK(*readTextFile(folder / "late.mp4", 100) == "mine");
    // Two writers of one name at once.
    auto first = taken(VideoWriter::create(options(folder / "race.mp4", 5)));
    auto second = taken(VideoWriter::create(options(folder / "race.mp4", 5)));
    CHECK(first->partFile() != second->partFile());
    first->discard();
    second->discard();
    CHECK(countFiles(folder.path()) == 4);
}

TEST_CASE("frames that do not come, or too many, are no clip") {
    TempFolder folder;
    {
        auto writer = taken(VideoWriter::create(options(folder / "clip.mp4", 5)));
        for (int i = 0; i < 4; ++i)
            REQUIRE(writer->write(picture(i)).ok());
        CHECK(has(writer->finish().error().message, "Only 4 of 5"));
        CHECK_FALSE(writer->write(picture(0, 32, 32)).ok());
        REQUIRE(writer->write(picture(4)).ok());
        CHECK_FALSE(writer->write(picture(5)).ok());
        writer->discard();
    }
    CHECK(countFiles(folder.path()) == 0);
    auto odd = options(folder / "clip.mp4", 5);
    odd.width = 63;
    CHECK_FALSE(VideoWriter::create(odd).ok());
    CHECK_FALSE(VideoWriter::create(options(folder / "clip.avi", 5)).ok());
}

TEST_CASE("killed while encoding: nothing under the final name, and the fragments can be recovered") {
    TempFolder folder;
    for (int round = 0; round < 5; ++round) {
        const auto file = folder / ("clip" + std::to_string(round) + ".mp4");
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            auto writer = VideoWriter::create(options(file, 1'000'000));
            for (int i = 0; writer && i < 1'000'000; ++i) {
                if (!(*writer)->write(picture(i % 97)))
                    break;
                if (i == 120) [[maybe_unused]]
                    const auto n = ::write(ends[1], "x", 1);
            }
            ::_exit(0);
        }
        char byte = 0;
        REQUIRE(::read(ends[0], &byte, 1) == 1);
        ::kill(child, SIGKILL);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        ::close(ends[0]);
        ::close(ends[1]);
        CHECK_FALSE(std::filesystem::exists(file));
        const auto part = std::filesystem::path(file.string() + ".part");
        REQUIRE(std::filesystem::exists(part));
        const auto recovered = recoverPart(part);
        REQUIRE_MESSAGE(recovered.ok(), (recovered ? "" : recovered.error().message));
        auto reader = taken(VideoReader::open(*recovered));
        CHECK(reader->info().frames >= 121 - 45);
        for (int i = 0; i < reader->info().frames; ++i) {
            auto frame = reader->next();
            REQUIRE(frame.ok());
            REQUIRE(frame->has_value());
            CHECK(numberIn(**frame) == i % 97);
        }
        CHECK(*clipMetadataFromText(reader->info().comment) == metadata());
        CHECK_FALSE(std::filesystem::exists(part));
    }
}

TEST_CASE("full disk and read-only folder: a sentence, and nothing under the final name") {
    TempFolder folder;
    const auto mountPoint = folder / "small";
    std::filesystem::create_directory(mountPoint);
    if (::mount("tmpfs", mountPoint.c_str(), "tmpfs", 0, "size=400k") != 0) {
        MESSAGE("skipped: a small disk cannot be mounted here (needs root): " << std::strerror(errno));
        return;
    }
    struct Unmount {
        std::filesystem::path at;
        ~Unmount() { ::umount2(at.c_str(), MNT_DETACH); }
    } unmount{mountPoint};

    // Each size fails at another place: a frame, the trailer, the rewritten copy.
    const auto whole = std::filesystem::file_size(writeClip(folder / "whole.mp4", 40));
    int refusals = 0;
    for (const auto kept : {whole / 3, whole * 9 / 10, whole + whole / 10, whole + whole / 2}) {
        for (const auto& entry : std::filesystem::directory_iterator(mountPoint))
            std::filesystem::remove(entry.path());
        const std::string size = "size=" + std::to_string((kept + 4095) / 4096 * 4096 + 4096);
        REQUIRE(::mount("tmpfs", mountPoint.c_str(), "tmpfs", MS_REMOUNT, size.c_str()) == 0);
        Result<void> outcome;
        auto writer = VideoWriter::create(options(mountPoint / "clip.mp4", 40));
        if (!writer)
            outcome = writer.error();
        for (int i = 0; outcome && i < 40; ++i)
            outcome = (*writer)->write(picture(i));
        if (outcome)
            if (auto name = (*writer)->finish(); !name)
                outcome = name.error();
        REQUIRE_FALSE(outcome.ok());
        CHECK(outcome.error().code == ErrorCode::Io);
        CHECK_MESSAGE(has(outcome.error().message, "disk is full"), outcome.error().message);
        CHECK_FALSE(std::filesystem::exists(mountPoint / "clip.mp4"));
        CHECK_FALSE(std::filesystem::exists(mountPoint / "clip.mp4.tmp"));
        ++refusals;
    }
    CHECK(refusals == 4);
    REQUIRE(::mount("tmpfs", mountPoint.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    const auto readOnly = VideoWriter::create(options(mountPoint / "b.mp4", 5));
    REQUIRE_FALSE(readOnly.ok());
    CHECK(has(readOnly.error().message, "choose another folder"));
}

TEST_CASE("each unusable file has its sentence") {
    TempFolder folder;
    const auto path = [&](const char* name) { return (folder / name).string(); };
    CHECK_FALSE(openError(folder / "nothing.mp4").empty());
    writeText(folder / "empty.mp4", "");
    CHECK(has(openError(folder / "empty.mp4"), "empty"));
    writeText(folder / "text.mp4", "just a few words, no video");
    CHECK(has(openError(folder / "text.mp4"), "not a video"));
    CHECK_FALSE(openError(folder.path()).empty());
    REQUIRE(::mkfifo((folder / "pipe.mp4").c_str(), 0600) == 0);
    CHECK_FALSE(openError(folder / "pipe.mp4").empty());
    ffmpeg("-f lavfi -i sine=d=1 " + path("sound.mp4"));
    CHECK(has(openError(folder / "sound.mp4"), "only sound"));
    ffmpeg("-f lavfi -i color=s=32x32:r=10:d=1 -frames:v 0 " + path("none.mp4") + " 2>/dev/null || true");
    CHECK(has(openError(folder / "none.mp4"), "no "));
    ffmpeg("-f lavfi -i color=s=7680x4320:r=1:d=1 -preset ultrafast " + path("8k.mp4"));
    CHECK(has(openError(folder / "8k.mp4"), "larger than 4096 x 2304"));
    ffmpeg("-f lavfi -i testsrc=s=64x64:d=1 -c:v mpeg1video " + path("old.mkv"));
    CHECK(has(openError(folder / "old.mkv"), "not read here"));
    ffmpeg("-f lavfi -i testsrc=s=64x64:d=1 " + path("other.avi"));
    CHECK(has(openError(folder / "other.avi"), "expected an MP4"));

    const auto clip = writeClip(folder / "clip.mp4", 80);
    const std::string bytes = *readTextFile(clip, 10 << 20);
    writeText(folder / "cut.mp4", bytes.substr(0, bytes.size() * 6 / 10));
    auto cut = VideoReader::open(folder / "cut.mp4");
    REQUIRE(cut.ok());
    CHECK(has((*cut)->info().damage, "Only the first"));
    CHECK((*cut)->info().frames < 80);
    CHECK((*cut)->info().frames > 20);
    writeText(folder / "head.mp4", bytes.substr(0, 600));
    CHECK_FALSE(openError(folder / "head.mp4").empty());
}

TEST_CASE("rotation, odd sizes, ten bits, variable rate and sound beside are read rightly") {
    TempFolder folder;
    const auto path = [&](const char* name) { return (folder / name).string(); };
    // Four corners of four colours, so that every turn and mirror shows.
    std::string inputs;
    for (const char* colour : {"red", "blue", "white", "black"})
        inputs += std::string("-f lavfi -i color=") + colour + ":s=32x16:r=8:d=1 ";
    ffmpeg(inputs + "-filter_complex \"xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0\" " + path("flat.mp4"));
    std::set<int> rotations;
    for (const char* degrees : {"90", "180", "270"}) {
        CAPTURE(degrees);
        ffmpeg("-i " + path("flat.mp4") + " -c copy -metadata:s:v rotate=" + degrees + " " +
               path("turned.mp4"));
        auto turned = taken(VideoReader::open(folder / "turned.mp4"));
        rotations.insert(turned->info().rotation);
        const Frame frame = *turned->frame(0);
        CHECK(frame.width == turned->info().width);
        CHECK(frame.height == turned->info().height);
        ffmpeg("-i " + path("turned.mp4") + " -frames:v 1 " +
               path("turned.png")); // as FFmpeg itself turns it
        const Frame expected = *readImage(folder / "turned.png");
        REQUIRE(expected.width == frame.width);
        REQUIRE(expected.height == frame.height);
        const int w = frame.width;
        const int h = frame.height;
        for (const int at : {(h / 8 * w + w / 8) * 3, (h / 8 * w + w * 7 / 8) * 3,
                             (h * 7 / 8 * w + w / 8) * 3, (h * 7 / 8 * w + w * 7 / 8) * 3})
            for (int c = 0; c < 3; ++c)
                CHECK(std::abs(int(frame.rgb[static_cast<std::size_t>(at + c)]) -
                               int(expected.rgb[static_cast<std::size_t>(at + c)])) < 12);
    }
    CHECK(rotations == std::set<int>{90, 180, 270});

    ffmpeg("-f lavfi -i testsrc=s=33x17:r=8:d=1 -f lavfi -i sine=d=1 -pix_fmt yuv444p " + path("odd.mp4"));
    auto odd = taken(VideoReader::open(folder / "odd.mp4"));
    CHECK(odd->info().hasAudio);
    CHECK(odd->info().frames == 8);
    CHECK((*odd->frame(7)).rgb.size() == 33 * 17 * 3);
    ffmpeg("-f lavfi -i testsrc=s=64x32:r=8:d=1 -pix_fmt yuv420p10le " + path("ten.mp4"));
    CHECK(VideoReader::open(folder / "ten.mp4").value()->frame(3).ok());
    ffmpeg("-f lavfi -i testsrc=s=64x32:r=100:d=1 -vf \"select='eq(n,0)+eq(n,1)+eq(n,4)+eq(n,9)+eq(n,16)'\" "
           "-vsync vfr " +
           path("vfr.mp4"));
    auto vfr = taken(VideoReader::open(folder / "vfr.mp4"));
    CHECK(vfr->info().variableRate);
    CHECK(vfr->ptsNanos(3) == doctest::Approx(90e6).epsilon(0.02));
    ffmpeg("-f lavfi -i color=s=2x2:r=8:d=1 -vf format=yuv444p,crop=1:1 " + path("dot.mp4"));
    CHECK(VideoReader::open(folder / "dot.mp4").value()->frame(0)->rgb.size() == 3);
}

TEST_CASE("playlists named .mp4 open nothing else and connect nowhere") {
    TempFolder folder;
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(listener >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener, 16) == 0);
    socklen_t length = sizeof address;
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    const std::string port = std::to_string(ntohs(address.sin_port));

    const auto other = writeClip(folder / "other.mp4", 10);
    const std::string hls = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n";
    const std::string end = "\n#EXT-X-ENDLIST\n";
    const std::string url = "http://127.0.0.1:" + port + "/a.mp4";
    const std::string cases[] = {
        hls + "file:///etc/passwd" + end,
        hls + other.string() + end,
        hls + "other.mp4" + end,
        hls + url + end,
        "\xEF\xBB\xBF" + hls + url + end,
        "\n" + hls + url + end,
        "ffconcat version 1.0\nfile '" + other.string() + "'\n",
        "ffconcat version 1.0\nfile other.mp4\n",
        "ffconcat version 1.0\nfile '" + url + "'\n",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><BaseURL>" +
            url + "</BaseURL></MPD>",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video " + port + " RTP/AVP 96\r\n",
        "[playlist]\nFile1=" + url + "\n",
        "<smil><body><video src=\"" + url + "\"/></body></smil>",
        "subfile,,start,0,end,100,,:" + other.string(),
    };
    int refused = 0;
    for (const std::string& text : cases) {
        CAPTURE(text);
        writeText(folder / "innocent.mp4", text);
        const std::string error = openError(folder / "innocent.mp4");
        CHECK_FALSE(error.empty());
        refused += !error.empty();
        if (text.find("EXTM3U") != std::string::npos || text.find("ffconcat") != std::string::npos)
            CHECK(has(error, "Playlists are not supported"));
        CHECK_FALSE(readClipMetadata(folder / "innocent.mp4").ok());
        CHECK_FALSE(compareFiles(folder / "innocent.mp4", other).ok());
        CHECK_FALSE(readImage(folder / "innocent.mp4").ok());
    }
    CHECK(refused == static_cast<int>(std::size(cases)));
    // A name that FFmpeg would read as a pattern or a protocol is a name.
    std::filesystem::copy_file(other, folder / "concat:%03d.mp4");
    CHECK(VideoReader::open(folder / "concat:%03d.mp4").ok());
    CHECK(::accept(listener, nullptr, nullptr) < 0);
    CHECK((errno == EAGAIN || errno == EWOULDBLOCK));
    ::close(listener);
}

TEST_CASE("300 damaged files end in an error or in frames, never otherwise") {
    TempFolder folder;
    const std::string clip = *readTextFile(writeClip(folder / "clip.mp4", 24), 10 << 20);
    ffmpeg("-i " + (folder / "clip.mp4").string() + " -c copy " + (folder / "clip.mkv").string());
    const std::string mkv = *readTextFile(folder / "clip.mkv", 10 << 20);
    std::mt19937 random(11);
    int opened = 0;
    for (int i = 0; i < 300; ++i) {
        std::string bytes = i % 4 == 3 ? mkv : clip;
        const auto at = [&] {
            return random() % (i % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 2000));
        };
        switch (random() % 3) {
        case 0:
            for (unsigned n = 1 + random() % 30; n > 0; --n)
                bytes[at()] = static_cast<char>(random());
            break;
        case 1:
            for (std::size_t from = at(), k = 0; k < 8 && from + k < bytes.size(); ++k)
                bytes[from + k] = random() % 2 ? '\xFF' : '\0';
            break;
        default:
            bytes.resize(1 + at());
        }
        writeText(folder / "bad.mp4", bytes);
        auto reader = VideoReader::open(folder / "bad.mp4");
        if (!reader) {
            CHECK(reader.error().message.size() > 20);
            continue;
        }
        ++opened;
        for (int f = 0; f < 40; ++f) {
            auto frame = (*reader)->next();
            if (!frame || !frame->has_value())
                break;
            CHECK((*frame)->rgb.size() == (*frame)->byteCount());
            CHECK((*frame)->width == (*reader)->info().width);
        }
        [[maybe_unused]] const auto last = (*reader)->frame((*reader)->info().frames - 1);
        [[maybe_unused]] const auto settings = clipMetadataFromText((*reader)->info().comment);
    }
    MESSAGE("opened " << opened << " of 300");
    CHECK(opened > 20);
    CHECK(opened < 300);
}

TEST_CASE("pictures: PNG there and back, JPEG, WebP, transparency, and what is refused") {
    TempFolder folder;
    const Frame sent = picture(30, 37, 23);
    REQUIRE(writeFramePng(folder / "frames", 7, sent).ok());
    const auto back = readImage(folder / "frames" / "frame-00007.png");
    REQUIRE(back.ok());
    CHECK(back->rgb == sent.rgb);
    const auto path = [&](const char* name) { return (folder / name).string(); };
    const std::string png = (folder / "frames" / "frame-00007.png").string();
    ffmpeg("-i " + png + " -q:v 1 " + path("a.jpg"));
    ffmpeg("-i " + png + " -lossless 1 " + path("a.webp"));
    for (const char* name : {"a.jpg", "a.webp"}) {
        CAPTURE(name);
        const auto image = readImage(folder / name);
        REQUIRE_MESSAGE(image.ok(), (image ? "" : image.error().message));
        CHECK(image->width == 37);
        CHECK(std::abs(int(image->rgb[2000]) - int(sent.rgb[2000])) < 24);
    }
    ffmpeg("-f lavfi -i color=white@0.5:s=8x8,format=rgba -frames:v 1 " + path("clear.png"));
    CHECK(std::abs(int(readImage(folder / "clear.png")->rgb[0]) - 128) < 3);
    writeText(folder / "no.png", "not a picture");
    CHECK(has(readImage(folder / "no.png").error().message, "PNG, JPEG or WebP"));
    const std::string bytes = *readTextFile(png, 1 << 20);
    writeText(folder / "cut.png", bytes.substr(0, 60));
    CHECK_FALSE(readImage(folder / "cut.png").ok());
    ffmpeg("-f lavfi -i color=s=9000x9000 -frames:v 1 " + path("huge.png"));
    CHECK(has(readImage(folder / "huge.png").error().message, "64 megapixels"));
}

TEST_CASE("pictures are scaled to fill and to fit") {
    Frame wide{40, 10, 0, {}};
    wide.rgb.assign(wide.byteCount(), 0);
    for (int y = 0; y < 10; ++y) // the middle 10 columns are white
        std::fill_n(wide.rgb.begin() + (y * 40 + 15) * 3, 30, 255);
    const Frame filled = resizedToFill(wide, 20, 20);
    CHECK(filled.width == 20);
    CHECK(filled.height == 20);
    CHECK(std::count(filled.rgb.begin(), filled.rgb.end(), 255) > 20 * 20 * 3 * 9 / 10);
    const Frame fitted = resizedToFit(wide, 8);
    CHECK(fitted.width == 8);
    CHECK(fitted.height == 2);
    CHECK(resizedToFit(wide, 100) == wide);
    for (const auto& [width, height] : {std::pair{1, 8000}, {8000, 1}, {2, 4000}, {8192, 3}}) {
        CAPTURE(width);
        const Frame odd = resizedToFill(wide, width, height); // proportions that swscale refuses
        CHECK(odd.rgb.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    }
}

TEST_CASE("two files are compared by FFmpeg's filters") {
    TempFolder folder;
    const auto a = writeClip(folder / "a.mp4", 12);
    const auto same = *compareFiles(a, a);
    CHECK(same.identical);
    CHECK(std::isinf(same.psnr));
    CHECK(same.ssim == doctest::Approx(1));
    CHECK(same.frames == 12);
    CHECK(same.planes == "Y, U, V of yuv420p");

    ffmpeg("-i " + a.string() + " -crf 45 " + (folder / "b.mp4").string());
    const auto b = compareFiles(a, folder / "b.mp4");
    REQUIRE_MESSAGE(b.ok(), (b ? "" : b.error().message));
    CHECK_FALSE(b->identical);
    CHECK(b->psnr > 15);
    CHECK(b->psnr < 45);
    CHECK(b->ssim < 0.999);
    CHECK(b->psnrWorst <= b->psnr);
    CHECK(b->psnrWorstFrame >= 0);
    // The filters' own report on the same files.
    ffmpeg("-i " + a.string() + " -i " + (folder / "b.mp4").string() +
           " -lavfi psnr=stats_file=" + (folder / "psnr.txt").string() + " -f null -");
    const std::string stats = *readTextFile(folder / "psnr.txt", 1 << 20);
    double sum = 0;
    int lines = 0;
    for (std::size_t at = 0; (at = stats.find("mse_avg:", at)) != std::string::npos; ++lines)
        sum += std::strtod(stats.c_str() + (at += 8), nullptr);
    REQUIRE(lines == 12);
    // Frame by frame, and the worst is the least of them.
    REQUIRE(b->psnrFrames.size() == 12);
    REQUIRE(b->ssimFrames.size() == 12);
    std::size_t at = 0;
    for (const double psnr : b->psnrFrames) {
        at = stats.find("psnr_avg:", at) + 9;
        CHECK(std::abs(psnr - std::strtod(stats.c_str() + at, nullptr)) < 0.05);
    }
    CHECK(b->psnrFrames[static_cast<std::size_t>(b->psnrWorstFrame)] == b->psnrWorst);
    CHECK(*std::min_element(b->ssimFrames.begin(), b->ssimFrames.end()) == b->ssimWorst);
    std::stop_source stopped;
    stopped.request_stop();
    CHECK(compareFiles(a, folder / "b.mp4", {stopped.get_token(), {}}).error().code == ErrorCode::Cancelled);
    CHECK(b->psnr == doctest::Approx(10 * std::log10(255 * 255 / (sum / lines))).epsilon(0.001));

    const auto shorter = compareFiles(a, writeClip(folder / "c.mp4", 11));
    REQUIRE_FALSE(shorter.ok());
    CHECK(has(shorter.error().message, "same length"));
    CHECK(has(mediaLibraryText(), "GPL"));
}
