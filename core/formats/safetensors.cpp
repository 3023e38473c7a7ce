#include "core/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <tuple>

#include <nlohmann/json.hpp>

#include "core/base/value_codec.h"

namespace canopy {

namespace {

using Json = nlohmann::json;

struct DTypeRow {
    DType type;
    std::string_view name;
    int bits;
};

constexpr std::array kTypes = {
    DTypeRow{DType::F64, "F64", 64},       DTypeRow{DType::F32, "F32", 32},
    DTypeRow{DType::F16, "F16", 16},       DTypeRow{DType::BF16, "BF16", 16},
    DTypeRow{DType::I64, "I64", 64},       DTypeRow{DType::I32, "I32", 32},
    DTypeRow{DType::I16, "I16", 16},       DTypeRow{DType::I8, "I8", 8},
    DTypeRow{DType::U64, "U64", 64},       DTypeRow{DType::U32, "U32", 32},
    DTypeRow{DType::U16, "U16", 16},       DTypeRow{DType::U8, "U8", 8},
    DTypeRow{DType::Bool, "BOOL", 8},      DTypeRow{DType::F8E4M3, "F8_E4M3", 8},
    DTypeRow{DType::F8E5M2, "F8_E5M2", 8},
};

const DTypeRow& row(DType type) {
    return *std::find_if(kTypes.begin(), kTypes.end(), [&](const DTypeRow& r) { return r.type == type; });
}

Error malformed(std::string what) {
    return makeError(ErrorCode::Malformed, std::move(what));
}

std::string megabytes(std::uint64_t bytes) {
    return bytes < 10'000'000 ? std::to_string(bytes) + " bytes" : std::to_string(bytes / 1'000'000) + " MB";
}

std::uint64_t littleEndian(std::span<const std::uint8_t> bytes) {
    std::uint64_t n = 0;
    for (std::size_t i = 8; i-- > 0;)
        n = n << 8 | bytes[i];
    return n;
}

bool startsWith(std::span<const std::uint8_t> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool isJsonSpace(std::uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Error torchArchive(std::string_view seen) {
    return makeError(ErrorCode::Unsupported,
                     std::string(seen) +
                         ". Such files can run programs while they are opened, so they are "
                         "never read; expected a safetensors file. Convert it to safetensors");
}

/// What a file that is no safetensors file looks like; called only after it failed to be one, because the
/// length field of a sound file may happen to begin with any of these bytes.
std::optional<Error> otherFormat(std::span<const std::uint8_t> start) {
    if (startsWith(start, "PK\x03\x04") || startsWith(start, "PK\x05\x06"))
        return torchArchive("This is a zip or Torch archive");
    if (start.size() >= 2 && start[0] == 0x80 && start[1] >= 1 && start[1] <= 5)
        return torchArchive("This is a Python pickle");
    if (startsWith(start, "GGUF"))
        return makeError(ErrorCode::Unsupported,
                         "This is a GGUF file; expected safetensors. Get the same model as "
                         "safetensors");
    if (startsWith(start, "version "))
        return malformed("This is a Git LFS pointer, not the file itself; fetch it with git lfs pull");
    if (startsWith(start, "<!DOCTYP") || startsWith(start, "<html") || startsWith(start, "<!doctyp"))
        return malformed("This is a web page, not a model file; the download went wrong, download it again");
    return std::nullopt;
}

/// Collects tensors from parser events. Depth 1 is the file's map, depth 2 one tensor or the metadata, depth
/// 3 a shape or a pair of offsets; nothing lies deeper.
class HeaderReader : public nlohmann::json_sax<Json> {
public:
    HeaderReader(const SafetensorsLimits& limits, SafetensorsHeader& out)
        : m_limits(limits)
        , m_out(out) {}

    const std::string& problem() const { return m_problem; }

    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("true or false"); }
    bool number_integer(number_integer_t) override {
        return fail("a negative number in " + where() + "; only unsigned integers occur in this format");
    }
    bool number_float(number_float_t, const string_t& text) override {
        return fail(
            "the number " + text.substr(0, 40) + " in " + where() +
            "; only unsigned integers below 2^64, without fraction or exponent, occur in this format");
    }
    bool binary(binary_t&) override { return unexpected("binary data"); }

    bool number_unsigned(number_unsigned_t n) override {
        if (m_list == List::Shape) {
            if (m_tensor.shape.size() >= m_limits.maxRank)
                return fail("a shape of more than " + std::to_string(m_limits.maxRank) + " dimensions in " +
                            where());
            if (n > m_limits.maxDimension)
                return fail("a dimension of " + std::to_string(n) + " in " + where() +
                            "; at most 2^48 is read");
            m_tensor.shape.push_back(n);
            return true;
        }
        if (m_list == List::Offsets) {
            if (m_offsets.size() >= 2)
                return fail("more than two data_offsets in " + where());
            m_offsets.push_back(n);
            return true;
        }
        return unexpected("a number");
    }

    bool string(string_t& text) override {
        if (m_place == Place::Metadata && m_depth == 2) {
            m_out.metadata[m_key] = std::move(text);
            return true;
        }
        if (m_place == Place::Tensor && m_list == List::None && m_key == "dtype") {
            const auto type = dtypeFromName(text);
            if (!type)
                return fail("the unknown type " + quotedName(text) + " in " + where());
            m_tensor.dtype = *type;
            return true;
        }
        return unexpected("a string");
    }

    bool start_object(std::size_t) override {
        if (m_depth == 0) {
            m_depth = 1;
            return true;
        }
        if (m_depth != 1)
            return unexpected("a map");
        m_depth = 2;
        if (m_name == "__metadata__") {
            m_place = Place::Metadata;
            return true;
        }
        if (m_out.tensors.size() >= m_limits.maxTensors)
            return fail("more than " + std::to_string(m_limits.maxTensors) + " tensors");
        m_place = Place::Tensor;
        m_tensor = {};
        m_tensor.name = m_name;
        m_offsets.clear();
        m_seen = 0;
        return true;
    }

    bool end_object() override {
        if (m_depth == 2 && m_place == Place::Tensor && !finishTensor())
            return false;
        --m_depth;
        m_place = Place::File;
        return true;
    }

    bool start_array(std::size_t) override {
        if (m_depth == 2 && m_place == Place::Tensor && m_list == List::None) {
            if (m_key == "shape") {
                m_list = List::Shape;
                return true;
            }
            if (m_key == "data_offsets") {
                m_list = List::Offsets;
                return true;
            }
        }
        return unexpected("a list");
    }

    bool end_array() override {
        m_list = List::None;
        return true;
    }

    bool key(string_t& text) override {
        if (m_depth == 1)
            return fileKey(text);
        m_key = std::move(text);
        if (m_place == Place::Metadata) {
            if (m_out.metadata.contains(m_key))
                return fail("the key " + quotedName(m_key) + " twice in __metadata__");
            if (m_out.metadata.size() >= m_limits.maxMetadata)
                return fail("more than " + std::to_string(m_limits.maxMetadata) + " entries in __metadata__");
            return true;
        }
        const unsigned bit = m_key == "dtype" ? 1 : m_key == "shape" ? 2 : m_key == "data_offsets" ? 4 : 0;
        if (bit == 0)
            return fail("the unknown key " + quotedName(m_key) + " in " + where());
        if (m_seen & bit)
            return fail("the key " + quotedName(m_key) + " twice in " + where());
        m_seen |= bit;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        if (m_problem.empty())
            m_problem = "text that is no JSON, at byte " + std::to_string(position) + " of the header";
        return false;
    }

private:
    enum class Place { File, Metadata, Tensor };
    enum class List { None, Shape, Offsets };

    bool fail(std::string what) {
        m_problem = std::move(what);
        return false;
    }

    std::string where() const {
        if (m_place == Place::Metadata)
            return "__metadata__";
        return m_depth == 0 ? "the header" : "tensor " + quotedName(m_name);
    }

    bool unexpected(std::string_view what) {
        if (m_depth == 0)
            return fail(std::string(what) + " where the map of tensors should be");
        if (m_place == Place::Metadata)
            return fail(std::string(what) + " in __metadata__, which holds text only");
        return fail(std::string(what) + " where dtype, shape or data_offsets should be, in " + where());
    }

    bool fileKey(const std::string& text) {
        if (text.size() > m_limits.maxNameBytes)
            return fail("a tensor name of " + std::to_string(text.size()) + " bytes; at most " +
                        std::to_string(m_limits.maxNameBytes) + " are read");
        if (text.find('\0') != std::string::npos)
            return fail("a NUL character in a tensor name");
        m_name = text;
        if (m_name == "__metadata__") {
            if (m_metadataSeen)
                return fail("__metadata__ twice");
            m_metadataSeen = true;
        }
        return true;
    }

    bool finishTensor() {
        if (m_seen != 7) {
            const char* lost = !(m_seen & 1) ? "dtype" : !(m_seen & 2) ? "shape" : "data_offsets";
            return fail(std::string("no ") + lost + " in " + where());
        }
        if (m_offsets.size() != 2)
            return fail("fewer than two data_offsets in " + where());
        m_tensor.begin = m_offsets[0];
        m_tensor.end = m_offsets[1];
        if (m_tensor.end < m_tensor.begin)
            return fail("data_offsets that end before they begin in " + where());
        // Dimensions of 0 make the tensor empty; the others must still not overflow, because strides are made
        // of them.
        std::uint64_t product = 1;
        bool empty = false;
        for (const std::uint64_t d : m_tensor.shape) {
            empty = empty || d == 0;
            if (d != 0 && __builtin_mul_overflow(product, d, &product))
                return fail("a shape whose product exceeds 2^64 in " + where());
        }
        std::uint64_t size = 0;
        if (__builtin_mul_overflow(product, static_cast<std::uint64_t>(bits(m_tensor.dtype)), &size) ||
            size / 8 > std::uint64_t{1} << 62)
            return fail("a shape of more bytes than a file can have in " + where());
        size = empty ? 0 : size / 8;
        if (size != m_tensor.end - m_tensor.begin)
            return fail(std::to_string(m_tensor.end - m_tensor.begin) + " bytes of data for " +
                        std::to_string(size) + " bytes of shape and type in " + where());
        m_out.tensors.push_back(std::move(m_tensor));
        return true;
    }

    const SafetensorsLimits& m_limits;
    SafetensorsHeader& m_out;
    int m_depth = 0;
    Place m_place = Place::File;
    List m_list = List::None;
    bool m_metadataSeen = false;
    std::string m_name; ///< key at depth 1
    std::string m_key;  ///< key at depth 2
    TensorInfo m_tensor;
    std::vector<std::uint64_t> m_offsets;
    unsigned m_seen = 0; ///< bits: dtype, shape, data_offsets
    std::string m_problem;
};

Error headerError(std::string_view found) {
    return malformed("The safetensors header is malformed: found " + std::string(found) +
                     ". Download the file again");
}

/// Names are unique, and sorted by offset each tensor begins where the last one ended.
std::optional<Error> layOut(SafetensorsHeader& header) {
    std::vector<std::string_view> names;
    names.reserve(header.tensors.size());
    for (const auto& t : header.tensors)
        names.push_back(t.name);
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
        return headerError("tensor " + quotedName(*twice) + " twice");
    std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
        return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    std::uint64_t running = 0;
    for (const auto& t : header.tensors) {
        if (t.begin < running)
            return headerError("tensor " + quotedName(t.name) + " overlapping the one before it");
        if (t.begin > running)
            return headerError("a hole of " + std::to_string(t.begin - running) + " bytes before tensor " +
                               quotedName(t.name));
        running = t.end;
    }
    header.dataBytes = running;
    return std::nullopt;
}

} // namespace

int bits(DType type) {
    return row(type).bits;
}

std::string_view dtypeName(DType type) {
    return row(type).name;
}

std::optional<DType> dtypeFromName(std::string_view name) {
    for (const auto& r : kTypes)
        if (r.name == name)
            return r.type;
    return std::nullopt;
}

std::uint64_t TensorInfo::elements() const {
    std::uint64_t n = 1;
    for (const std::uint64_t d : shape)
        n *= d;
    return n;
}

std::string quotedName(std::string_view name) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : name.substr(0, 80)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\') {
            out += c;
        } else {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        }
    }
    return out + (name.size() > 80 ? "...\"" : "\"");
}

Result<std::uint64_t> safetensorsHeaderLength(std::span<const std::uint8_t> start, std::uint64_t fileSize,
                                              const SafetensorsLimits& limits) {
    if (fileSize == 0)
        return malformed("The file is empty; expected a safetensors file. Download it again");
    if (fileSize < 8 || start.size() < 8) {
        if (auto other = otherFormat(start))
            return *other;
        return malformed("The file has " + std::to_string(fileSize) +
                         " bytes; a safetensors file has at least 8. Download it again");
    }
    const std::uint64_t length = littleEndian(start);
    const bool looksLikeJson =
        start.size() < 9 || start[8] == '{' || isJsonSpace(start[8]); // a caller may hand in 8 bytes only
    if (length > limits.maxHeaderBytes || length > fileSize - 8 || !looksLikeJson) {
        if (auto other = otherFormat(start))
            return *other;
    }
    if (length > limits.maxHeaderBytes)
        return malformed("This is not a safetensors file: its first eight bytes announce a header of " +
                         std::to_string(length) + " bytes; at most " + std::to_string(limits.maxHeaderBytes) +
                         " are read");
    if (length > fileSize - 8)
        return malformed("The file is incomplete: its header alone takes " + std::to_string(length + 8) +
                         " bytes and the file has " + std::to_string(fileSize) + ". Download it again");
    if (length < 2)
        return malformed("This is not a safetensors file: it announces a header of " +
                         std::to_string(length) + " bytes; at least 2 are needed");
    return length;
}

Result<SafetensorsHeader> parseSafetensorsHeader(std::span<const std::uint8_t> bytesFromFileStart,
                                                 std::uint64_t fileSize, const SafetensorsLimits& limits) {
    const auto length = safetensorsHeaderLength(bytesFromFileStart, fileSize, limits);
    if (!length)
        return length.error();
    if (bytesFromFileStart.size() - 8 < *length)
        return malformed("Only " + std::to_string(bytesFromFileStart.size()) + " bytes of a header of " +
                         std::to_string(*length + 8) +
                         " were read; the file changed while being read. Try again");
    const auto text = bytesFromFileStart.subspan(8, *length);
    // The JSON parser takes a byte order mark and ends at a NUL without a word; both are refused here.
    const auto first = std::find_if_not(text.begin(), text.end(), isJsonSpace);
    if (first == text.end() || *first != '{')
        return headerError("no \"{\" at its start");
    if (std::find(text.begin(), text.end(), 0) != text.end())
        return headerError("a NUL byte");

    SafetensorsHeader header;
    header.dataStart = *length + 8;
    HeaderReader reader(limits, header);
    bool parsed = false;
    try {
        parsed = Json::sax_parse(text.begin(), text.end(), &reader);
    } catch (const std::exception& e) {
        return headerError(std::string("text that is no JSON (") + e.what() + ")");
    }
    if (!parsed)
        return headerError(reader.problem());
    if (auto error = layOut(header))
        return *error;

    std::uint64_t expected = 0;
    if (__builtin_add_overflow(header.dataStart, header.dataBytes, &expected))
        return headerError("offsets beyond 2^64");
    if (fileSize < expected)
        return malformed("The file is incomplete: " + megabytes(fileSize) + " of " + megabytes(expected) +
                         ". Download it again");
    if (fileSize > expected)
        return malformed("The file is damaged or tampered with: " + std::to_string(fileSize - expected) +
                         " bytes follow the last tensor. Download it again");
    return header;
}

std::vector<std::uint8_t> writeSafetensors(const std::vector<TensorBytes>& tensors,
                                           const std::map<std::string, std::string>& metadata) {
    std::string text = "{";
    if (!metadata.empty()) {
        Value::Map map;
        for (const auto& [key, value] : metadata)
            map[key] = value;
        text += "\"__metadata__\":" + toJson(map) + ",";
    }
    std::uint64_t offset = 0;
    for (const auto& t : tensors) {
        text += toJson(t.name) + ":{\"dtype\":\"" + std::string(dtypeName(t.dtype)) + "\",\"shape\":[";
        std::uint64_t elements = 1;
        for (std::size_t i = 0; i < t.shape.size(); ++i) {
            if (i != 0)
                text += ',';
            text += std::to_string(t.shape[i]);
            elements *= t.shape[i];
        }
        assert(elements * static_cast<std::uint64_t>(bits(t.dtype)) / 8 == t.bytes.size());
        static_cast<void>(elements);
        text += "],\"data_offsets\":[" + std::to_string(offset) + "," +
                std::to_string(offset + t.bytes.size()) + "]},";
        offset += t.bytes.size();
    }
    if (text.back() == ',')
        text.pop_back();
    text += "}";
    text.resize((text.size() + 7) / 8 * 8, ' ');

    std::vector<std::uint8_t> out;
    out.reserve(8 + text.size() + offset);
    for (int shift = 0; shift < 64; shift += 8)
        out.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(text.size()) >> shift));
    out.insert(out.end(), text.begin(), text.end());
    for (const auto& t : tensors)
        out.insert(out.end(), t.bytes.begin(), t.bytes.end());
    return out;
}

} // namespace canopy
