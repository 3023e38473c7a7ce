#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/files.h"
#include "core/formats/safetensors.h"

// Files of this module's tests, built byte by byte, so that a test says what is wrong with them.

namespace canopy::test {

using Bytes = std::vector<std::uint8_t>;

/// Length field, JSON text, then `dataBytes` zeros.
inline Bytes rawSafetensors(std::string_view json, std::size_t dataBytes) {
    Bytes out;
    for (int shift = 0; shift < 64; shift += 8)
        out.push_back(static_cast<std::uint8_t>(std::uint64_t{json.size()} >> shift));
    out.insert(out.end(), json.begin(), json.end());
    out.resize(out.size() + dataBytes);
    return out;
}

inline std::string messageOf(const Error& error) {
    return error.message;
}

/// A folder that goes away with the test.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "canopy-formats-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        m_path = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return m_path; }
    std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
        REQUIRE(writeFileAtomically(m_path / name, bytes).ok());
        return m_path / name;
    }
    std::filesystem::path write(const std::string& name, std::string_view text) const {
        REQUIRE(writeFileAtomically(m_path / name, text).ok());
        return m_path / name;
    }

private:
    std::filesystem::path m_path;
};

using Shape = std::vector<std::uint64_t>;

/// A safetensors file of zeros with these tensors.
inline Bytes zeroTensors(const std::map<std::string, Shape>& shapes, DType type = DType::BF16,
                         std::uint8_t fill = 0, const std::map<std::string, Shape>& extraU8 = {}) {
    std::vector<TensorBytes> tensors;
    std::vector<Bytes> data;
    data.reserve(shapes.size() + extraU8.size());
    const auto add = [&](const std::string& name, const Shape& shape, DType dtype) {
        std::uint64_t n = static_cast<std::uint64_t>(bits(dtype)) / 8;
        for (const auto d : shape)
            n *= d;
        data.emplace_back(n, fill);
        tensors.push_back({name, dtype, shape, data.back()});
    };
    for (const auto& [name, shape] : shapes)
        add(name, shape, type);
    for (const auto& [name, shape] : extraU8)
        add(name, shape, DType::U8);
    return writeSafetensors(tensors);
}

// ---- protobuf, enough for a tokenizer model
// -------------------------------------------------------------------------

inline void putVarint(Bytes& out, std::uint64_t n) {
    for (; n >= 0x80; n >>= 7)
        out.push_back(static_cast<std::uint8_t>(n | 0x80));
    out.push_back(static_cast<std::uint8_t>(n));
}
inline void putField(Bytes& out, unsigned number, std::uint64_t value) {
    putVarint(out, number << 3);
    putVarint(out, value);
}
inline void putBytes(Bytes& out, unsigned number, const Bytes& value) {
    putVarint(out, number << 3 | 2);
    putVarint(out, value.size());
    out.insert(out.end(), value.begin(), value.end());
}
inline Bytes textBytes(std::string_view text) {
    return Bytes(text.begin(), text.end());
}
inline void putFloat(Bytes& out, unsigned number, float value) {
    putVarint(out, number << 3 | 5);
    const auto raw = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<std::uint8_t>(raw >> shift));
}
inline Bytes piece(std::string_view text, float score, unsigned type = 1) {
    Bytes out;
    putBytes(out, 1, textBytes(text));
    putFloat(out, 2, score);
    putField(out, 3, type);
    return out;
}

/// A model with <unk> as id 0, then the given pieces; `trainer` and `normalizer` are finished messages.
inline Bytes spModel(const std::vector<Bytes>& pieces, const Bytes& trainer = {},
                     const Bytes& normalizer = {}) {
    Bytes out;
    putBytes(out, 1, piece("<unk>", 0, 2));
    for (const auto& p : pieces)
        putBytes(out, 1, p);
    if (!trainer.empty())
        putBytes(out, 2, trainer);
    if (!normalizer.empty())
        putBytes(out, 3, normalizer);
    return out;
}

inline std::filesystem::path sourceFolder() {
    const char* folder = std::getenv("CANOPY_SOURCE_DIR");
    return folder ? std::filesystem::path(folder) : std::filesystem::current_path();
}

} // namespace canopy::test
