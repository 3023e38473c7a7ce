#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace canopy::accel {

/// The kept share of the estimated mass, for all heads alike, for each head, or for each head of each layer.
class HeadThresholds {
public:
    /// One for all heads, or one per head in every layer.
    HeadThresholds(std::initializer_list<double> perHead)
        : m_layers(1, std::vector<double>(perHead)) {}
    HeadThresholds(std::vector<double> perHead)
        : m_layers(1, std::move(perHead)) {}
    /// [layer][head], each layer as above.
    HeadThresholds(std::vector<std::vector<double>> layers)
        : m_layers(std::move(layers)) {}

    /// Throws std::out_of_range where there is none.
    double at(int layer, std::int64_t head) const {
        const auto& heads = m_layers.size() == 1 ? m_layers[0] : m_layers.at(static_cast<std::size_t>(layer));
        return heads.size() == 1 ? heads[0] : heads.at(static_cast<std::size_t>(head));
    }

private:
    std::vector<std::vector<double>> m_layers;
};

} // namespace canopy::accel
