#include "tests/support/parity_case.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <map>

#include <doctest/doctest.h>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"

namespace canopy::test {

namespace {

constexpr CodecLimits kLimits{64u << 20, 64, 8u << 20, 8u << 20};

at::ScalarType scalarType(DType type) {
    switch (type) {
    case DType::F64:
        return at::kDouble;
    case DType::F32:
        return at::kFloat;
    case DType::BF16:
        return at::kBFloat16;
    case DType::F16:
        return at::kHalf;
    case DType::I64:
        return at::kLong;
    case DType::I32:
        return at::kInt;
    case DType::U8:
        return at::kByte;
    case DType::I8:
        return at::kChar;
    default:
        FAIL("a parity file holds an element type that no case uses: ", std::string(dtypeName(type)));
    }
    return at::kFloat;
}

Value readJson(const std::filesystem::path& path) {
    const auto text = readTextFile(path, kLimits.maxBytes);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    auto value = parseJson(*text, kLimits);
    REQUIRE_MESSAGE(value.ok(), value.error().message);
    return *value;
}

} // namespace

struct ParityCase::Tensors {
    explicit Tensors(SafetensorsFile opened)
        : file(std::move(opened)) {
        for (const auto& info : file.header().tensors)
            infos.emplace(info.name, &info);
    }
    SafetensorsFile file;
    std::map<std::string, const TensorInfo*, std::less<>> infos;
};

ParityCase::ParityCase(std::filesystem::path folder, std::string name, Value json)
    : m_folder(std::move(folder))
    , m_name(std::move(name))
    , m_json(std::move(json)) {
    const auto path = m_folder / (m_name + ".safetensors");
    if (!std::filesystem::exists(path))
        return; // a case may be JSON only
    auto file = SafetensorsFile::open(path);
    REQUIRE_MESSAGE(file.ok(), file.error().message);
    m_tensors = std::make_shared<Tensors>(std::move(*file));
}

bool ParityCase::has(std::string_view tensor) const {
    return m_tensors && m_tensors->infos.contains(tensor);
}

at::Tensor ParityCase::tensor(std::string_view tensor) const {
    REQUIRE_MESSAGE(has(tensor), m_name, " has no tensor ", std::string(tensor));
    const auto& info = *m_tensors->infos.find(tensor)->second;
    std::vector<std::int64_t> shape(info.shape.begin(), info.shape.end());
    auto out = at::empty(shape, at::TensorOptions(scalarType(info.dtype)));
    const auto read =
        m_tensors->file.read(info, {static_cast<std::uint8_t*>(out.mutable_data_ptr()), out.nbytes()});
    REQUIRE_MESSAGE(read.ok(), read.error().message);
    return out;
}

std::vector<std::string> ParityCase::tensorNames() const {
    std::vector<std::string> names;
    if (m_tensors) {
        for (const auto& [name, info] : m_tensors->infos)
            names.push_back(name);
    }
    return names;
}

ParityCase ParityCase::sibling(std::string_view name) const {
    return {m_folder, std::string(name), readJson(m_folder / (std::string(name) + ".json"))};
}

Value ParityCase::config() const {
    const auto path = m_folder / (m_name + ".config.json");
    return std::filesystem::exists(path) ? readJson(path) : Value();
}

std::vector<std::filesystem::path> ParityCase::weightFiles() const {
    std::vector<std::filesystem::path> files;
    for (const char* suffix : {".weights.safetensors", ".weights_original.safetensors"}) {
        if (const auto path = m_folder / (m_name + suffix); std::filesystem::exists(path))
            files.push_back(path);
    }
    return files;
}

void expectClose(const at::Tensor& ours, const at::Tensor& reference, double tolerance,
                 std::string_view what) {
    REQUIRE_MESSAGE(ours.sizes() == reference.sizes(), std::string(what), ": shapes differ");
    const auto a = ours.detach().cpu().to(at::kDouble).reshape({-1});
    const auto b = reference.to(at::kDouble).reshape({-1});
    const double scale = b.abs().max().item<double>();
    const auto difference = (a - b).abs();
    const double worst = difference.max().item<double>();
    if (worst <= tolerance * scale) { // false for NaN
        CHECK(worst <= tolerance * scale);
        return;
    }
    const auto at = difference.nan_to_num(1e30, 1e30, 1e30).argmax().item<std::int64_t>();
    FAIL_CHECK(std::string(what), ": element ", at, " is ", a[at].item<double>(), ", expected ",
               b[at].item<double>(), "; largest difference ", worst, " of scale ", scale, ", allowed share ",
               tolerance);
}

void expectEqual(const at::Tensor& ours, const at::Tensor& reference, std::string_view what) {
    REQUIRE_MESSAGE(ours.sizes() == reference.sizes(), std::string(what), ": shapes differ");
    const auto wrong = ours.cpu().to(at::kLong).ne(reference.to(at::kLong)).sum().item<std::int64_t>();
    CHECK_MESSAGE(wrong == 0, std::string(what), ": ", wrong, " values differ");
}

} // namespace canopy::test
