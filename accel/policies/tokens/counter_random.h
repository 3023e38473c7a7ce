#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace canopy::accel {

/// Random numbers with equal bits on every platform: the i-th one is the SplitMix64 finaliser of
/// seed + (i + 1) * 0x9E3779B97F4A7C15 (Steele, Lea, Flood 2014), so that it depends on seed and i alone.
class CounterRandom {
public:
    explicit CounterRandom(std::uint64_t seed)
        : m_seed(seed) {}

    std::uint64_t next() {
        std::uint64_t z = m_seed + ++m_count * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    /// 0 to end - 1; `end` below 2^32. Multiply and shift; the bias of at most end / 2^32 is not removed.
    std::uint32_t below(std::uint32_t end) {
        return static_cast<std::uint32_t>(((next() >> 32) * end) >> 32);
    }
    /// 0 <= u < 1 in steps of 2^-53.
    double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    /// Fisher-Yates from the back.
    template <typename T>
    void shuffle(std::vector<T>& items) {
        for (std::size_t i = items.size(); i > 1; --i)
            std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
    }

private:
    std::uint64_t m_seed;
    std::uint64_t m_count = 0;
};

} // namespace canopy::accel
