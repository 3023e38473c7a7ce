#pragma once

#include "accel/nn/forward_context.h"

namespace canopy::accel {

/// Every query frame sees the key frames at a distance of at most `frames`, before and after. A simple
/// baseline, and the proof that the attention hook can replace attention as a whole.
class WindowAttention : public AttentionPolicy {
public:
    explicit WindowAttention(int frames)
        : m_frames(frames) {}
    at::Tensor attend(const AttentionCall& call) override;

private:
    int m_frames;
};

} // namespace canopy::accel
