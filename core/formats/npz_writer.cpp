#include "core/formats/npz_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <stdexcept>

namespace canopy {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie in memory");

using Bytes = std::vector<std::uint8_t>;

void put(Bytes& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put(Bytes& out, std::string_view text) {
    out.insert(out.end(), text.begin(), text.end());
}

/// CRC-32 of ZIP: polynomial 0xEDB88320, reflected.
std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t i = 0; i < made.size(); ++i) {
            std::uint32_t c = i;
            for (int bit = 0; bit < 8; ++bit)
                c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            made[i] = c;
        }
        return made;
    }();
    std::uint32_t c = 0xFFFFFFFFu;
    for (const auto byte : bytes)
        c = table[(c ^ byte) & 0xFF] ^ (c >> 8);
    return c ^ 0xFFFFFFFFu;
}

template <typename T>
std::span<const std::uint8_t> rawBytes(std::span<const T> values) {
    return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

/// What local header and directory entry have in common, from "version needed" to the name's length.
void putEntry(Bytes& out, std::uint32_t crc, std::size_t size, std::size_t nameLength) {
    constexpr std::uint16_t version = 20, flags = 0, stored = 0, time = 0;
    constexpr std::uint16_t date = (1 << 5) | 1; // 1980-01-01: equal runs give equal files
    put(out, version, 2), put(out, flags, 2), put(out, stored, 2), put(out, time, 2), put(out, date, 2);
    put(out, crc, 4), put(out, size, 4), put(out, size, 4), put(out, nameLength, 2);
}

} // namespace

void NpzWriter::addBytes(std::string_view name, std::span<const std::int64_t> shape, std::string_view type,
                         std::span<const std::uint8_t> bytes, std::size_t count) {
    std::size_t product = 1;
    std::string dimensions;
    for (const auto d : shape) {
        product *= static_cast<std::size_t>(d);
        dimensions += std::to_string(d) + ",";
    }
    if (product != count)
        throw std::invalid_argument("the shape of \"" + std::string(name) + "\" does not hold its values");
    const std::string file = std::string(name) + ".npy";
    if (name.empty() || name.find('/') != name.npos ||
        std::any_of(m_members.begin(), m_members.end(), [&](const auto& m) { return m.name == file; }))
        throw std::invalid_argument("\"" + std::string(name) + "\" is no new name of an array");
    std::string header =
        "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (" + dimensions + "), }";
    constexpr std::size_t prefix = 10, align = 64;
    header.append(align - (prefix + header.size() + 1) % align, ' ');
    header += '\n';
    Member member{file, {}};
    member.bytes.reserve(prefix + header.size() + bytes.size());
    put(member.bytes, "\x93NUMPY");
    put(member.bytes, 1, 2); // version 1.0
    put(member.bytes, header.size(), 2);
    put(member.bytes, header);
    member.bytes.insert(member.bytes.end(), bytes.begin(), bytes.end());
    m_members.push_back(std::move(member));
}

void NpzWriter::add(std::string_view name, std::span<const std::int64_t> shape,
                    std::span<const float> values) {
    addBytes(name, shape, "<f4", rawBytes(values), values.size());
}

void NpzWriter::add(std::string_view name, std::span<const std::int64_t> shape,
                    std::span<const double> values) {
    addBytes(name, shape, "<f8", rawBytes(values), values.size());
}

void NpzWriter::add(std::string_view name, std::span<const std::int64_t> shape,
                    std::span<const std::int32_t> values) {
    addBytes(name, shape, "<i4", rawBytes(values), values.size());
}

void NpzWriter::add(std::string_view name, std::span<const std::int64_t> shape,
                    std::span<const std::uint8_t> values) {
    addBytes(name, shape, "|u1", values, values.size());
}

Result<std::vector<std::uint8_t>> NpzWriter::finish() const {
    constexpr std::size_t headers = 128; // of one member, both of its entries, without its name
    std::size_t all = 64;
    for (const auto& member : m_members)
        all += member.bytes.size() + 2 * member.name.size() + headers;
    if (all > std::numeric_limits<std::uint32_t>::max())
        return makeError(ErrorCode::InvalidArgument,
                         "The arrays take more than 4 GB, which an .npz file cannot hold. Export fewer of "
                         "them, or as CSV.");
    Bytes out, directory;
    out.reserve(all);
    for (const auto& member : m_members) {
        const auto crc = crc32(member.bytes);
        const auto offset = out.size();
        put(out, 0x04034b50, 4);
        putEntry(out, crc, member.bytes.size(), member.name.size());
        put(out, 0, 2); // extra field
        put(out, member.name);
        out.insert(out.end(), member.bytes.begin(), member.bytes.end());
        put(directory, 0x02014b50, 4);
        put(directory, 20, 2); // made by
        putEntry(directory, crc, member.bytes.size(), member.name.size());
        put(directory, 0, 2 + 2 + 2 + 2); // extra field, comment, disk, internal attributes
        put(directory, 0, 4);             // external attributes
        put(directory, offset, 4);
        put(directory, member.name);
    }
    const auto start = out.size();
    out.insert(out.end(), directory.begin(), directory.end());
    put(out, 0x06054b50, 4);
    put(out, 0, 4); // disks
    put(out, m_members.size(), 2), put(out, m_members.size(), 2);
    put(out, directory.size(), 4), put(out, start, 4);
    put(out, 0, 2); // comment
    return out;
}

} // namespace canopy
