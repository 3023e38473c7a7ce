#include "accel/policies/cache/rescale_polynomials.h"

#include <stdexcept>

namespace canopy::accel {

double RescalePolynomial::operator()(double change) const {
    double sum = 0;
    for (const double c : coefficients)
        sum = sum * change + c;
    return sum;
}

RescalePolynomial publishedPolynomial(RescaledCheckpoint checkpoint, TimeFeature feature) {
    const bool projection = feature == TimeFeature::Projection;
    switch (checkpoint) {
    case RescaledCheckpoint::Forcing1_3B:
        return projection ? RescalePolynomial{{-5.21862437e4, 9.23041404e3, -5.28275948e2, 1.36987616e1,
                                               -4.99875664e-2}}
                          : RescalePolynomial{
                                {2.39676752e3, -1.31110545e3, 2.01331979e2, -8.29855975, 1.37887774e-1}};
    case RescaledCheckpoint::Forcing14B:
        return projection ? RescalePolynomial{{-3.03318725e5, 4.90537029e4, -2.65530556e3, 5.87365115e1,
                                               -3.15583525e-1}}
                          : RescalePolynomial{
                                {-5784.54975374, 5449.50911966, -1811.16591783, 256.27178429, -13.02252404}};
    case RescaledCheckpoint::ImageToVideo14B540P:
        return projection ? RescalePolynomial{{2.57151496e5, -3.54229917e4, 1.40286849e3, -1.35890334e1,
                                               1.32517977e-1}}
                          : RescalePolynomial{
                                {-3.02331670e2, 2.23948934e2, -5.25463970e1, 5.87348440, -2.01973289e-1}};
    case RescaledCheckpoint::ImageToVideo14B720P:
        return projection
                   ? RescalePolynomial{{8.10705460e3, 2.13393892e3, -3.72934672e2, 1.66203073e1,
                                        -4.17769401e-2}}
                   : RescalePolynomial{{-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683}};
    }
    throw std::invalid_argument("no polynomial was published for this checkpoint");
}

} // namespace canopy::accel
