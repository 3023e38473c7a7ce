#include "tests/core/parity/parity_case.h"

#include <cstring>

#include <doctest/doctest.h>

#include "core/formats/safetensors.h"

namespace canopy::test {

namespace {

SafetensorsFile openTensors(const StoredCase& stored) {
    auto file = SafetensorsFile::open(stored.folder / (stored.name + ".safetensors"));
    REQUIRE_MESSAGE(file.ok(), file.error().message);
    return std::move(*file);
}

StoredCase::Bytes read(const StoredCase& stored, std::string_view name, DType type) {
    const auto file = openTensors(stored);
    for (const auto& tensor : file.header().tensors) {
        if (tensor.name != name)
            continue;
        REQUIRE_MESSAGE(tensor.dtype == type, stored.name, ": ", tensor.name, " has another type");
        StoredCase::Bytes out{tensor.shape, std::vector<std::uint8_t>(tensor.bytes())};
        const auto done = file.read(tensor, out.values);
        REQUIRE_MESSAGE(done.ok(), done.error().message);
        return out;
    }
    FAIL(stored.name, " has no tensor ", std::string(name));
    return {};
}

} // namespace

std::vector<std::string> StoredCase::tensorNames() const {
    std::vector<std::string> out;
    if (!std::filesystem::exists(folder / (name + ".safetensors")))
        return out; // a case may be JSON only
    const auto file = openTensors(*this);
    for (const auto& tensor : file.header().tensors)
        out.push_back(tensor.name);
    return out;
}

StoredCase::Bytes StoredCase::bytes(std::string_view tensor) const {
    return read(*this, tensor, DType::U8);
}

std::vector<float> StoredCase::floats(std::string_view tensor) const {
    const Bytes raw = read(*this, tensor, DType::F32);
    std::vector<float> out(raw.values.size() / sizeof(float));
    std::memcpy(out.data(), raw.values.data(), out.size() * sizeof(float));
    return out;
}

} // namespace canopy::test
