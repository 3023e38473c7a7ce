#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace canopy::test {

/// One stored reference that needs no LibTorch: `<name>.json` and, where it has tensors,
/// `<name>.safetensors`.
struct StoredCase {
    std::filesystem::path folder;
    std::string name;
    Value json;

    struct Bytes {
        std::vector<std::uint64_t> shape;
        std::vector<std::uint8_t> values;
    };
    std::vector<std::string> tensorNames() const;
    /// A U8 tensor; fails the running test when it is not there.
    Bytes bytes(std::string_view tensor) const;
    /// An F32 tensor, flat; fails the running test when it is not there.
    std::vector<float> floats(std::string_view tensor) const;
};

// One function per kind, in tests/core/parity/<kind>.cpp; the table stands in parity_test.cpp.
void checkByteBpe(const StoredCase&);
void checkResizeBicubic(const StoredCase&); ///< in builds with media

} // namespace canopy::test
