#include "core/studio/frame_sampler.h"

#include <algorithm>
#include <span>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "core/base/files.h"

#if CANOPY_HAS_MEDIA
#include "core/media/sampled_frames.h"
#endif

namespace canopy {
namespace {

constexpr std::size_t kKeptVideos = 4;

Result<SampledVideo> readVideo(const SampleWish& wish, const std::filesystem::path& to,
                               const std::stop_token& stop) {
#if CANOPY_HAS_MEDIA
    auto frames =
        media::readSampledFrames(wish.video, wish.frames, wish.sampling, wish.size, wish.forceFrames, stop);
    if (!frames)
        return frames.error();
    if (auto written = media::writeFramesFile(*frames, to); !written)
        return written.error();
    return SampledVideo{to, std::move(frames->frameIndex), std::move(frames->frameSeconds),
                        frames->videoSeconds, std::move(frames->notes)};
#else
    (void)to, (void)stop;
    return makeError(ErrorCode::Unsupported,
                     "This build reads no videos; use one built with FFmpeg: " + wish.video.string());
#endif
}

} // namespace

FrameSampler::FrameSampler(std::filesystem::path folder, std::function<void(SampleReport)> report)
    : m_folder(std::move(folder))
    , m_report(std::move(report))
    , m_thread([this](std::stop_token stop) { work(stop); }) {}

FrameSampler::~FrameSampler() {
    {
        const std::lock_guard lock(m_mutex);
        m_orders.clear();
        if (m_runningStop)
            m_runningStop->request_stop();
    }
    m_thread.request_stop();
    m_thread.join();
    for (const Kept& kept : m_kept)
        ::unlink(kept.video.file.c_str());
}

void FrameSampler::sample(JobId job, SampleWish wish) {
    {
        const std::lock_guard lock(m_mutex);
        m_orders.push_back({job, std::move(wish)});
    }
    m_arrived.notify_one();
}

void FrameSampler::abandon(JobId job) {
    const std::lock_guard lock(m_mutex);
    std::erase_if(m_orders, [&](const Order& order) { return order.job == job; });
    if (m_running == job && m_runningStop)
        m_runningStop->request_stop();
}

void FrameSampler::work(std::stop_token stop) {
    while (true) {
        Order order;
        std::stop_token orderStop;
        {
            std::unique_lock lock(m_mutex);
            m_running = 0;
            m_runningStop.reset();
            m_arrived.wait(lock, stop, [&] { return !m_orders.empty(); });
            if (stop.stop_requested())
                return;
            order = std::move(m_orders.front());
            m_orders.pop_front();
            m_running = order.job;
            orderStop = m_runningStop.emplace().get_token();
        }
        auto video = read(order, orderStop);
        if (!orderStop.stop_requested())
            m_report({order.job, std::move(video)});
    }
}

Result<SampledVideo> FrameSampler::read(const Order& order, const std::stop_token& stop) {
    std::error_code ec;
    const auto bytes = std::filesystem::file_size(order.wish.video, ec);
    const auto changed =
        ec ? std::filesystem::file_time_type{} : std::filesystem::last_write_time(order.wish.video, ec);
    if (!ec) {
        const auto known = std::find_if(m_kept.begin(), m_kept.end(), [&](const Kept& kept) {
            return kept.wish == order.wish && kept.bytes == bytes && kept.changed == changed &&
                   ::access(kept.video.file.c_str(), R_OK) == 0;
        });
        if (known != m_kept.end()) {
            std::rotate(m_kept.begin(), known, known + 1);
            return m_kept.front().video;
        }
    }
    const auto file = m_folder / ("frames-" + std::to_string(::getpid()) + "-" + std::to_string(++m_files) +
                                  ".safetensors");
    auto video = readVideo(order.wish, file, stop);
    if (!video)
        return video;
    m_kept.push_front({order.wish, bytes, changed, *video});
    while (m_kept.size() > kKeptVideos) {
        ::unlink(m_kept.back().video.file.c_str());
        m_kept.pop_back();
    }
    return video;
}

} // namespace canopy
