#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <stop_token>
#include <vector>

namespace canopy::accel {

class WanVae;

/// A linear map from one latent cell (16 channels) to the colour of its 8 x 8 pixels, good enough to
/// recognise a picture while it forms. Fitted to the autoencoder at hand by least squares over pictures of
/// smooth colour fields that it encodes once: no stored constants, so any checkpoint has its own.
class PreviewMap {
public:
    static PreviewMap fit(const WanVae& vae, const std::stop_token& stop);

    struct Pictures {
        int width = 0;
        int height = 0;
        int frames = 0;
        std::vector<std::uint8_t> rgb;
    };
    /// latents [16, F, h, w] to F pictures of w x h.
    Pictures render(const at::Tensor& latents) const;

    /// Root mean square error of the fit in RGB units of 0..255, over the pictures it was fitted to.
    double residual() const { return m_residual; }

private:
    at::Tensor m_weights; ///< [C + 1, 3] float32 on the CPU; the last row is the offset
    double m_residual = 0;
};

} // namespace canopy::accel
