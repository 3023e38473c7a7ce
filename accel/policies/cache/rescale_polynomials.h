#pragma once

#include <array>

namespace canopy::accel {

/// Degree 4, highest power first: turns the change of a time feature into the change of a model's output.
/// May be negative for small changes; published clips were made without a clamp.
struct RescalePolynomial {
    std::array<double, 5> coefficients{0, 0, 0, 1, 0}; ///< the identity
    double operator()(double change) const;
};

/// Checkpoints that a polynomial was published for. It holds for no other model, whatever its size.
enum class RescaledCheckpoint { Forcing1_3B, Forcing14B, ImageToVideo14B540P, ImageToVideo14B720P };
/// What changes from row to row: the time embedding after its projection (e0, "ret" in the public code), or
/// before it (e).
enum class TimeFeature { Projection, Embedding };

/// Coefficients of TeaCache for Wan 2.1 and SkyReels-V2: flow-cache.md 5.
RescalePolynomial publishedPolynomial(RescaledCheckpoint checkpoint, TimeFeature feature);

} // namespace canopy::accel
