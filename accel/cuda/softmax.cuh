#pragma once

#include <cstdint>

namespace canopy::accel::cuda {

__device__ __forceinline__ float exp2Fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// Two floats as bfloat16, `low` in the lower half.
__device__ __forceinline__ std::uint32_t packBf16(float low, float high) {
    std::uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

/// Running softmax of the two rows that a thread shares with the three others of its quad. In units of log2:
/// p = 2^(score * scaleLog2 - reference).
///
/// `reference` follows the row's maximum only once that has grown by more than kSlack: the result is the same
/// for any reference, and p of up to 2^kSlack is exact enough in bfloat16 and far from overflow in float32.
/// So a rescale of the output, and the exchange of maxima between threads, is rare after the first stages.
struct RunningSoftmax {
    static constexpr float kSlack = 8.0F;

    float reference[2];
    float sum[2]; ///< of this thread's columns only

    __device__ void reset() {
        reference[0] = reference[1] = -INFINITY;
        sum[0] = sum[1] = 0.0F;
    }

    /// Scores to probabilities in place. True (for the whole warp) when the output must be multiplied by
    /// `rescale`, one factor per row.
    template <int Count>
    __device__ __forceinline__ bool absorb(float (&s)[Count], float scaleLog2, float (&rescale)[2]) {
        float highest[2] = {s[0], s[2]};
#pragma unroll
        for (int i = 0; i < Count; i += 4) {
            highest[0] = fmaxf(highest[0], fmaxf(s[i], s[i + 1]));
            highest[1] = fmaxf(highest[1], fmaxf(s[i + 2], s[i + 3]));
        }
        const bool grown =
            highest[0] * scaleLog2 > reference[0] + kSlack || highest[1] * scaleLog2 > reference[1] + kSlack;
        const bool moves = __any_sync(0xFFFFFFFFU, grown);
        if (moves) {
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                float top = highest[row];
                top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFFU, top, 1));
                top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFFU, top, 2));
                const float raised = fmaxf(reference[row], top * scaleLog2);
                rescale[row] = exp2Fast(reference[row] - raised);
                reference[row] = raised;
                sum[row] *= rescale[row];
            }
        }
        float partial[2][2] = {};
#pragma unroll
        for (int i = 0; i < Count; i += 4) {
#pragma unroll
            for (int row = 0; row < 2; ++row) {
                s[i + 2 * row] = exp2Fast(fmaf(s[i + 2 * row], scaleLog2, -reference[row]));
                s[i + 2 * row + 1] = exp2Fast(fmaf(s[i + 2 * row + 1], scaleLog2, -reference[row]));
                partial[row][0] += s[i + 2 * row];
                partial[row][1] += s[i + 2 * row + 1];
            }
        }
#pragma unroll
        for (int row = 0; row < 2; ++row)
            sum[row] += partial[row][0] + partial[row][1];
        return moves;
    }

    /// Sums over all columns; all four threads of a quad get them.
    __device__ void total(float (&sums)[2]) const {
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            sums[row] = sum[row] + __shfl_xor_sync(0xFFFFFFFFU, sum[row], 1);
            sums[row] += __shfl_xor_sync(0xFFFFFFFFU, sums[row], 2);
        }
    }
};

} // namespace canopy::accel::cuda
