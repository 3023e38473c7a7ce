#pragma once

#include <Qt>

namespace canopy::ui {

class Playback;

/// The transport's keys: Space, J K L (K held with J or L is slow), arrows by frame and second, Home, End.
/// GUI thread.
class PlaybackKeys {
public:
    explicit PlaybackKeys(Playback& playback)
        : m_playback(playback) {}
    /// A key went down or up. True when it is one of the transport's.
    bool take(int key, Qt::KeyboardModifiers modifiers, bool pressed);
    void forgetHeld() { m_slowKeyHeld = false; } ///< the focus went

private:
    Playback& m_playback;
    bool m_slowKeyHeld = false; ///< K
    bool m_slow = false;
};

} // namespace canopy::ui
