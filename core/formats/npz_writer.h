#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

/// Named arrays as one `.npz` file, the format of numpy.savez: an uncompressed ZIP archive of `.npy` version
/// 1.0 members, C order, little endian. numpy.load() reads it.
class NpzWriter {
public:
    /// The product of `shape` must be the number of values; an empty shape is a scalar. A name is given once,
    /// in ASCII without slashes. Throws std::invalid_argument otherwise.
    void add(std::string_view name, std::span<const std::int64_t> shape, std::span<const float> values);
    void add(std::string_view name, std::span<const std::int64_t> shape, std::span<const double> values);
    void add(std::string_view name, std::span<const std::int64_t> shape,
             std::span<const std::int32_t> values);
    void add(std::string_view name, std::span<const std::int64_t> shape,
             std::span<const std::uint8_t> values);

    /// The whole archive. An error beyond 4 GB, where plain ZIP ends.
    Result<std::vector<std::uint8_t>> finish() const;

private:
    struct Member {
        std::string name;
        std::vector<std::uint8_t> bytes; ///< of the .npy
    };
    void addBytes(std::string_view name, std::span<const std::int64_t> shape, std::string_view type,
                  std::span<const std::uint8_t> bytes, std::size_t count);

    std::vector<Member> m_members;
};

} // namespace canopy
