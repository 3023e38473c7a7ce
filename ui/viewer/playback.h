#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QString>
#include <QTimer>

namespace canopy::ui {

/// "00:01.29": minutes, seconds and hundredths of a frame's start.
QString timecode(int frame, double fps);

/// The clock of the viewer: which frame is shown at which moment. GUI thread. Works for any source of frames.
///
/// Speeds: 1 normal, negative backwards, |speed| 0.25 while K is held with J or L, 2, 4, 8 by repeated J or
/// L.
class Playback : public QObject {
    Q_OBJECT
public:
    explicit Playback(QObject* parent = nullptr);

    /// Another source; stops, goes to the first frame.
    void setSource(int frames, double fps);
    /// The same source has another number of frames (a newer preview); keeps playing and the place where
    /// possible.
    void replaceFrames(int frames, double fps);

    int frames() const { return m_frames; }
    double fps() const { return m_fps; }
    int frame() const { return m_frame; }
    bool isPlaying() const { return m_playing; }
    double speed() const { return m_speed; }
    bool loops() const { return m_loop; }

    void setLoop(bool loop);
    void play(double speed = 1);
    void pause();
    void toggle();
    void seek(int frame);    ///< pauses nothing; clamps
    void stepBy(int frames); ///< pauses, moves by frames, stays inside
    void stepSecond(int sign);
    void faster(int sign); ///< L (+1) or J (-1): 1x, then 2x, 4x, 8x in that direction

    /// Moves the clock on; called by the timer, and by tests instead of it.
    void advance(double seconds);

Q_SIGNALS:
    void frameChanged(int frame);
    void stateChanged();

private:
    void setFrame(int frame);

    QTimer m_timer;
    QElapsedTimer m_elapsed;
    int m_frames = 0;
    double m_fps = 16;
    int m_frame = 0;
    double m_position = 0; ///< frames, fractional
    double m_speed = 1;
    bool m_playing = false;
    bool m_loop = true;
};

} // namespace canopy::ui
