#pragma once

#include <string_view>

namespace canopy {

/// How alike two clips look, in words. It says nothing about how good either is.
enum class Similarity {
    Identical, ///< every sample is equal
    Alike,     ///< one has to search for differences
    SameShot,  ///< details move
    SameIdea,  ///< the same things, arranged in another way
    Different,
};

/// From a clip's mean PSNR (dB, infinite where equal) and mean SSIM. The bounds are ours: at 38 dB with 0.97
/// small things still look the same, while at 33 dB the basket below a balloon can be gone; published
/// accelerated clips, judged to be the same shot, lie at 20 to 26 dB with 0.7 to 0.85 (sparse-attention.md
/// 6). Below 0.45 structures no longer lie on each other.
constexpr Similarity similarityOf(double psnr, double ssim, bool identical) {
    if (identical)
        return Similarity::Identical;
    if (psnr >= 38 && ssim >= 0.97)
        return Similarity::Alike;
    if (psnr >= 20 && ssim >= 0.7)
        return Similarity::SameShot;
    if (psnr >= 14 && ssim >= 0.45)
        return Similarity::SameIdea;
    return Similarity::Different;
}

/// "Identical", "Looks identical", "Same shot", "Same idea", "Different".
constexpr std::string_view similarityWords(Similarity similarity) {
    constexpr std::string_view kWords[] = {"Identical", "Looks identical", "Same shot", "Same idea",
                                           "Different"};
    return kWords[static_cast<std::size_t>(similarity)];
}

} // namespace canopy
