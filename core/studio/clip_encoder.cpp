#include "core/studio/clip_encoder.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>

#include "core/base/files.h"
#include "core/studio/make_thumbnail.h"

#if CANOPY_HAS_MEDIA
#include "core/media/png_writer.h"
#include "core/media/video_writer.h"
#endif

namespace canopy {

/// One job under way; lives on the encoder thread.
struct ClipEncoder::Run {
    EncodeJob job;
    Thumbnail thumbnail;
    int written = 0;
#if CANOPY_HAS_MEDIA
    std::unique_ptr<media::VideoWriter> writer;

    Result<void> begin() {
        auto made = media::VideoWriter::create(
            {job.file, job.width, job.height, job.fps, job.frames, job.comment, job.title});
        if (!made)
            return made.error();
        writer = std::move(*made);
        return {};
    }
    Result<void> write(const client::ReceivedBlob& blob) {
        const media::Frame frame{blob.info.width, blob.info.height, 0, blob.bytes};
        if (!job.framesDir.empty())
            if (auto png = media::writeFramePng(job.framesDir, written, frame); !png)
                return png;
        return writer->write(frame);
    }
    Result<std::filesystem::path> finish(const std::string& comment) {
        writer->setComment(comment);
        return writer->finish();
    }
    void abandon(bool keepPart) {
        if (writer && !keepPart)
            writer->discard();
        writer.reset();
    }
#else
    Result<void> begin() {
        return {};
    }
    /// PPM: the one lossless format that needs no library.
    Result<void> write(const client::ReceivedBlob& blob) {
        char name[32];
        std::snprintf(name, sizeof name, "frame-%05d.ppm", written);
        const std::string head =
            "P6\n" + std::to_string(blob.info.width) + " " + std::to_string(blob.info.height) + "\n255\n";
        std::vector<std::uint8_t> bytes(head.begin(), head.end());
        bytes.insert(bytes.end(), blob.bytes.begin(), blob.bytes.end());
        return writeFileAtomically(job.framesDir / name, std::span<const std::uint8_t>(bytes));
    }
    Result<std::filesystem::path> finish(const std::string& comment) {
        if (written != job.frames)
            return makeError(ErrorCode::Internal, "Only " + std::to_string(written) + " of " +
                                                      std::to_string(job.frames) + " frames arrived.");
        if (auto told = writeFileAtomically(job.framesDir / "settings.json", comment); !told)
            return told.error();
        return job.framesDir;
    }
    void abandon(bool) {}
#endif
};

ClipEncoder::ClipEncoder(std::function<void(EncodeReport)> report)
    : m_report(std::move(report))
    , m_thread([this](std::stop_token stop) { work(stop); }) {}

ClipEncoder::~ClipEncoder() = default; // the jthread is asked to stop and joined

bool ClipEncoder::writesVideo() {
    return CANOPY_HAS_MEDIA != 0;
}

void ClipEncoder::begin(EncodeJob job) {
    push(std::move(job));
}
void ClipEncoder::frame(client::BlobPtr frame) {
    push(std::move(frame));
}
void ClipEncoder::finish(std::string comment) {
    push(Finish{std::move(comment)});
}

void ClipEncoder::abandon(bool keepPart) {
    std::unique_lock lock(m_mutex);
    m_commands.clear(); // of this job: the next begins only after it
    m_commands.push_back(Abandon{keepPart});
    const std::uint64_t mine = ++m_abandonsAsked;
    m_wake.notify_one();
    m_abandoned.wait(lock, [&] { return m_abandonsDone >= mine; });
}

void ClipEncoder::push(Command command) {
    {
        const std::lock_guard lock(m_mutex);
        m_commands.push_back(std::move(command));
    }
    m_wake.notify_one();
}

void ClipEncoder::work(std::stop_token stop) {
    std::optional<Run> run; // empty between jobs and after a failure
    const auto fail = [&](const Error& error) {
        const JobId job = run->job.job;
        run->abandon(false);
        run.reset();
        m_report({job, error, {}});
    };
    for (;;) {
        Command command;
        {
            std::unique_lock lock(m_mutex);
            if (!m_wake.wait(lock, stop, [&] { return !m_commands.empty(); }))
                break;
            command = std::move(m_commands.front());
            m_commands.pop_front();
        }
        if (auto* job = std::get_if<EncodeJob>(&command)) {
            run.emplace();
            run->job = std::move(*job);
            if (auto begun = run->begin(); !begun)
                fail(begun.error());
        } else if (auto* frame = std::get_if<client::BlobPtr>(&command); frame && run) {
            const client::ReceivedBlob& blob = **frame;
            if (blob.info.job != run->job.job || blob.info.index != run->written) {
                fail(makeError(ErrorCode::Internal, "Frame " + std::to_string(blob.info.index) +
                                                        " arrived where frame " +
                                                        std::to_string(run->written) + " was expected."));
                continue;
            }
            if (auto written = run->write(blob); !written) {
                fail(written.error());
                continue;
            }
            if (run->written == run->job.frames / 2)
                run->thumbnail = makeThumbnail(blob.bytes, blob.info.width, blob.info.height);
            ++run->written;
        } else if (auto* finish = std::get_if<Finish>(&command); finish && run) {
            auto file = run->finish(finish->comment);
            if (!file) {
                fail(file.error());
                continue;
            }
            EncodeReport report{run->job.job, std::move(file), std::move(run->thumbnail)};
            run.reset();
            m_report(std::move(report));
        } else if (auto* abandon = std::get_if<Abandon>(&command)) {
            if (run)
                run->abandon(abandon->keepPart);
            run.reset();
            const std::lock_guard lock(m_mutex);
            ++m_abandonsDone;
            m_abandoned.notify_all();
        }
    }
}

} // namespace canopy
