#include "ui/viewer/playback.h"

#include <algorithm>
#include <cmath>

namespace canopy::ui {

QString timecode(int frame, double fps) {
    const auto hundredths = fps > 0 ? qint64(std::floor(frame * 100.0 / fps + 1e-6)) : 0;
    const auto two = [](qint64 v) { return QStringLiteral("%1").arg(v, 2, 10, QLatin1Char('0')); };
    return QStringLiteral("%1:%2.%3")
        .arg(two(hundredths / 6000), two(hundredths / 100 % 60), two(hundredths % 100));
}

Playback::Playback(QObject* parent)
    : QObject(parent) {
    m_timer.setTimerType(Qt::PreciseTimer);
    connect(&m_timer, &QTimer::timeout, this, [this] { advance(double(m_elapsed.nsecsElapsed()) * 1e-9); });
}

void Playback::setSource(int frames, double fps) {
    pause();
    m_frames = std::max(0, frames);
    m_fps = std::max(1.0, fps);
    m_frame = -1; // so that the first frame is announced even where the last source stood on it
    m_position = 0;
    m_speed = 1;
    setFrame(0);
    Q_EMIT stateChanged();
}

void Playback::replaceFrames(int frames, double fps) {
    m_fps = std::max(1.0, fps);
    if (frames == m_frames)
        return;
    m_frames = std::max(0, frames);
    if (m_frame >= m_frames) {
        m_position = 0;
        setFrame(0);
    }
    Q_EMIT stateChanged();
}

void Playback::setLoop(bool loop) {
    m_loop = loop;
    Q_EMIT stateChanged();
}

void Playback::play(double speed) {
    if (m_frames < 2)
        return;
    if (!m_loop && speed > 0 && m_frame == m_frames - 1)
        seek(0);
    m_speed = speed;
    m_playing = true;
    m_position = m_frame + (speed < 0 ? 0.999 : 0.0);
    m_elapsed.start();
    m_timer.start(std::clamp(int(1000.0 / (m_fps * std::max(1.0, std::abs(speed))) / 2), 4, 30));
    Q_EMIT stateChanged();
}

void Playback::pause() {
    if (!m_playing)
        return;
    m_playing = false;
    m_timer.stop();
    m_speed = 1;
    Q_EMIT stateChanged();
}

void Playback::toggle() {
    m_playing ? pause() : play();
}

void Playback::seek(int frame) {
    m_position = std::clamp(frame, 0, std::max(0, m_frames - 1));
    setFrame(int(m_position));
}

void Playback::stepBy(int frames) {
    pause();
    seek(m_frame + frames);
}

void Playback::stepSecond(int sign) {
    stepBy(sign * int(std::lround(m_fps)));
}

void Playback::faster(int sign) {
    const bool same = m_playing && m_speed * sign > 0 && std::abs(m_speed) >= 1;
    play(sign * (same ? std::min(8.0, std::abs(m_speed) * 2) : 1.0));
}

void Playback::advance(double seconds) {
    m_elapsed.start();
    if (!m_playing || m_frames < 1)
        return;
    m_position += seconds * m_fps * m_speed;
    if (m_position >= m_frames || m_position < 0) {
        if (!m_loop) {
            const int end = m_position < 0 ? 0 : m_frames - 1;
            pause();
            return seek(end);
        }
        m_position = std::fmod(m_position, m_frames);
        if (m_position < 0)
            m_position += m_frames;
    }
    setFrame(std::min(int(m_position), m_frames - 1));
}

void Playback::setFrame(int frame) {
    frame = std::clamp(frame, 0, std::max(0, m_frames - 1));
    if (frame == m_frame)
        return;
    m_frame = frame;
    Q_EMIT frameChanged(frame);
}

} // namespace canopy::ui
