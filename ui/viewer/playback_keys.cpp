#include "ui/viewer/playback_keys.h"

#include "ui/viewer/playback.h"

namespace canopy::ui {

bool PlaybackKeys::take(int key, Qt::KeyboardModifiers modifiers, bool pressed) {
    const bool shift = modifiers == Qt::ShiftModifier;
    if (modifiers != Qt::NoModifier && modifiers != Qt::KeypadModifier && !shift)
        return false;
    if (!pressed) {
        if (key == Qt::Key_K)
            m_slowKeyHeld = false;
        if (m_slow && (key == Qt::Key_K || key == Qt::Key_J || key == Qt::Key_L)) {
            m_slow = false;
            m_playback.pause();
            return true;
        }
        return key == Qt::Key_K;
    }
    switch (key) {
    case Qt::Key_Space:
        m_playback.toggle();
        return true;
    case Qt::Key_K:
        m_slowKeyHeld = true;
        m_playback.pause();
        return true;
    case Qt::Key_J:
    case Qt::Key_L: {
        const int sign = key == Qt::Key_L ? 1 : -1;
        if (m_slowKeyHeld) {
            m_slow = true;
            m_playback.play(sign * 0.25);
        } else {
            m_playback.faster(sign);
        }
        return true;
    }
    case Qt::Key_Left:
    case Qt::Key_Right: {
        const int sign = key == Qt::Key_Right ? 1 : -1;
        shift ? m_playback.stepSecond(sign) : m_playback.stepBy(sign);
        return true;
    }
    case Qt::Key_Home:
        m_playback.seek(0);
        return true;
    case Qt::Key_End:
        m_playback.seek(m_playback.frames() - 1);
        return true;
    default:
        return false;
    }
}

} // namespace canopy::ui
