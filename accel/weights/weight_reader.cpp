#include "accel/weights/weight_reader.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

#include "accel/runtime/cancelled.h"
#include "accel/weights/name_map.h"
#include "accel/weights/scalar_type.h"
#include "core/formats/safetensors.h"

namespace canopy::accel {

namespace {

template <typename T>
std::string shapeText(const T& shape) {
    std::string text = "[";
    for (const auto n : shape)
        text += (text.size() > 1 ? ", " : "") + std::to_string(n);
    return text + "]";
}

bool sameShape(const std::vector<std::uint64_t>& a, at::IntArrayRef b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](std::uint64_t x, std::int64_t y) {
        return y >= 0 && x == static_cast<std::uint64_t>(y);
    });
}

/// What belongs to the weight X.weight and is read with it: X.SCB and X.weight_format (8-bit rows),
/// X.scale_weight and X.scale_input (fp8).
constexpr std::string_view kAttributes[] = {".SCB", ".weight_format", ".scale_weight", ".scale_input"};

std::string attributeOwner(std::string_view name) {
    for (const auto suffix : kAttributes) {
        if (name.ends_with(suffix))
            return std::string(name.substr(0, name.size() - suffix.size())) + ".weight";
    }
    return {};
}

std::string withoutWeight(std::string_view name) {
    return name.ends_with(".weight") ? std::string(name.substr(0, name.size() - 7)) : std::string(name);
}

std::string firstTen(const std::vector<std::string>& lines) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(lines.size(), 10); ++i)
        text += "\n  " + lines[i];
    if (lines.size() > 10)
        text += "\n  and " + std::to_string(lines.size() - 10) + " more";
    return text;
}

/// In parts: the check's own tensors would hold twice an embedding table otherwise.
bool allFinite(const at::Tensor& tensor) {
    constexpr std::int64_t kPart = std::int64_t{1} << 24;
    const auto flat = tensor.reshape({-1});
    for (std::int64_t begin = 0; begin < flat.size(0); begin += kPart) {
        const auto part = flat.narrow(0, begin, std::min(kPart, flat.size(0) - begin));
        if (!at::isfinite(part).all().item<bool>())
            return false;
    }
    return true;
}

} // namespace

struct WeightReader::State {
    const Checkpoint& files;
    Part part;
    at::Device device;
    at::ScalarType dtype;
    std::stop_token stop;
    std::map<std::string, std::string, std::less<>> places; ///< canonical to file name
    std::set<std::string, std::less<>> taken;
    std::vector<std::string> ignored; ///< prefixes
    std::vector<std::string> missing;
    std::vector<std::string> misshapen;
    std::vector<std::string> nonFinite;

    at::Tensor raw(const std::string& fileName) const {
        const auto* info = files.find(fileName);
        std::vector<std::int64_t> shape(info->shape.begin(), info->shape.end());
        auto tensor = at::empty(shape, at::TensorOptions(scalarType(info->dtype)));
        const auto read =
            files.read(fileName, {static_cast<std::uint8_t*>(tensor.mutable_data_ptr()), tensor.nbytes()});
        if (!read)
            throw std::runtime_error(read.error().message);
        return tensor;
    }

    /// The weight as the layer computes with it, in `type` on the device.
    at::Tensor dequantised(std::string_view canonical, const std::string& fileName,
                           at::ScalarType type) const {
        const auto tensor = raw(fileName);
        const std::string base = withoutWeight(canonical);
        const auto attribute = [&](const char* suffix) {
            const auto it = places.find(base + suffix);
            return it == places.end() ? at::Tensor() : raw(it->second).to(at::kFloat);
        };
        if (tensor.scalar_type() == at::kChar) {
            // bitsandbytes' 8-bit rows: W = weight * SCB / 127.
            const auto scale = attribute(".SCB");
            if (!scale.defined())
                throw std::runtime_error("8-bit weight without its row scales (" + base + ".SCB)");
            return (tensor.to(at::kFloat) * (scale.unsqueeze(1) / 127.0)).to(device, type);
        }
        if (tensor.scalar_type() == at::kFloat8_e4m3fn || tensor.scalar_type() == at::kFloat8_e5m2) {
            const auto scale = attribute(".scale_weight");
            const auto wide = tensor.to(at::kFloat);
            return (scale.defined() ? wide * scale : wide).to(device, type);
        }
        return tensor.to(device, type);
    }
};

WeightReader::WeightReader(const Checkpoint& files, Part part, at::Device device, at::ScalarType dtype,
                           std::stop_token stop)
    : m_state(new State{files, part, device, dtype, std::move(stop), {}, {}, {}, {}, {}, {}}) {
    for (const auto& name : files.names())
        m_state->places.emplace(canonicalName(part, name), name);
    // transformers files may hold the embedding only under the encoder's name.
    if (part == Part::TextEncoder && !m_state->places.contains("shared.weight")) {
        if (const auto it = m_state->places.find("encoder.embed_tokens.weight"); it != m_state->places.end())
            m_state->places.emplace("shared.weight", it->second);
    }
}

WeightReader::~WeightReader() = default;

bool WeightReader::has(std::string_view name) const {
    return m_state->places.contains(name);
}

at::Tensor WeightReader::take(std::string_view name, at::IntArrayRef shape) {
    auto& s = *m_state;
    throwIfStopped(s.stop);
    s.taken.emplace(name);
    const auto it = s.places.find(name);
    const auto zeros = [&] { return at::zeros(shape, at::TensorOptions(s.dtype).device(s.device)); };
    if (it == s.places.end()) {
        s.missing.push_back(std::string(name) + " " + shapeText(shape));
        return zeros();
    }
    const auto* info = s.files.find(it->second);
    if (!sameShape(info->shape, shape)) {
        s.misshapen.push_back(std::string(name) + ": found " + shapeText(info->shape) + ", expected " +
                              shapeText(shape));
        return zeros();
    }
    auto tensor = s.dequantised(name, it->second, s.dtype);
    if (!allFinite(tensor))
        s.nonFinite.emplace_back(name);
    return tensor;
}

at::Tensor WeightReader::takeFloat(std::string_view name, at::IntArrayRef shape) {
    const auto dtype = std::exchange(m_state->dtype, at::kFloat);
    auto tensor = take(name, shape);
    m_state->dtype = dtype;
    return tensor;
}

at::Tensor WeightReader::takeOptional(std::string_view name, at::IntArrayRef shape) {
    return has(name) ? take(name, shape) : at::Tensor();
}

void WeightReader::ignoreUnder(std::string_view prefix) {
    m_state->ignored.emplace_back(prefix);
}

Result<void> WeightReader::finish() const {
    const auto& s = *m_state;
    std::vector<std::string> unexpected;
    for (const auto& [canonical, file] : s.places) {
        const std::string owner = attributeOwner(canonical);
        if (std::any_of(s.ignored.begin(), s.ignored.end(),
                        [&name = canonical](const auto& prefix) { return name.starts_with(prefix); }))
            continue;
        if (!s.taken.contains(canonical) && !isCompanion(s.part, canonical) &&
            (owner.empty() || !s.taken.contains(owner)))
            unexpected.push_back(file);
    }
    if (s.missing.empty() && s.misshapen.empty() && unexpected.empty()) {
        if (s.nonFinite.empty())
            return {};
        // They would make a black clip after minutes of work.
        return makeError(
            ErrorCode::Malformed,
            "The weights hold values that are not numbers (NaN or infinity) in:" + firstTen(s.nonFinite) +
                "\nThe file is damaged or was exported wrongly; get it again.");
    }
    std::string text = "The weights do not fit the model.";
    if (!s.missing.empty())
        text += " Missing:" + firstTen(s.missing);
    if (!s.misshapen.empty())
        text += "\nOf another shape:" + firstTen(s.misshapen);
    if (!unexpected.empty())
        text += "\nNot expected:" + firstTen(unexpected);
    text += "\nUse weights and config of the same release.";
    return makeError(ErrorCode::Mismatch, text);
}

} // namespace canopy::accel
