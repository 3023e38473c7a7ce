#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/files.h"
#include "core/base/result.h"

namespace canopy {

/// Element types of safetensors files, a closed list. The names are those of the format.
enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, Bool, F8E4M3, F8E5M2 };
int bits(DType type);
std::string_view dtypeName(DType type); ///< "BF16", "F8_E4M3", "BOOL"
std::optional<DType> dtypeFromName(std::string_view name);

/// One tensor of a file. Offsets count from the start of the data, which follows the header.
struct TensorInfo {
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::uint64_t> shape; ///< empty = a scalar
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    std::uint64_t bytes() const { return end - begin; }
    std::uint64_t elements() const; ///< cannot overflow: checked when the header was read
};

/// Bounds on a header that nobody vouches for.
struct SafetensorsLimits {
    std::uint64_t maxHeaderBytes = std::uint64_t{16} << 20;
    std::size_t maxTensors = 65536;
    std::size_t maxMetadata = 65536;
    std::size_t maxNameBytes = 512;
    std::size_t maxRank = 8;
    std::uint64_t maxDimension = std::uint64_t{1} << 48;
};

struct SafetensorsHeader {
    std::vector<TensorInfo> tensors; ///< by offset, without holes or overlaps
    std::map<std::string, std::string, std::less<>> metadata;
    std::uint64_t dataStart = 0; ///< place of offset 0 in the file
    std::uint64_t dataBytes = 0;
};

/// Length of the JSON text that follows the first eight bytes, checked against the file and the limit.
/// Files of other kinds (Torch archives, GGUF, web pages, Git LFS pointers) are named as what they are.
Result<std::uint64_t> safetensorsHeaderLength(std::span<const std::uint8_t> start, std::uint64_t fileSize,
                                              const SafetensorsLimits& limits = {});

/// Reads a header. Pure: `bytesFromFileStart` holds at least the length field and the JSON text, `fileSize`
/// is the size of the whole file. Stricter than the reference reader: duplicate keys, numbers that are no
/// unsigned integers, holes, overlaps, bytes after the last tensor and everything beyond `limits` are
/// refused, each with its own sentence.
Result<SafetensorsHeader> parseSafetensorsHeader(std::span<const std::uint8_t> bytesFromFileStart,
                                                 std::uint64_t fileSize,
                                                 const SafetensorsLimits& limits = {});

/// A tensor to be written. The bytes are borrowed and must be as many as shape and type say.
struct TensorBytes {
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::uint64_t> shape;
    std::span<const std::uint8_t> bytes;
};

/// A whole file: tensors in the given order, header padded so that the data start at a multiple of 8.
std::vector<std::uint8_t> writeSafetensors(const std::vector<TensorBytes>& tensors,
                                           const std::map<std::string, std::string>& metadata = {});

/// A name from a file, fit for a message: quoted, control and non-ASCII bytes escaped, cut after 80 bytes.
std::string quotedName(std::string_view name);

/// Refuses Torch archives and other formats that can run programs, by the ending of the name. Contents are
/// judged by safetensorsHeaderLength.
Result<void> refuseTorchArchive(const std::filesystem::path& path);

/// One safetensors file: opened once, header read, tensors by position.
class SafetensorsFile {
public:
    static Result<SafetensorsFile> open(const std::filesystem::path& path,
                                        const SafetensorsLimits& limits = {});

    const SafetensorsHeader& header() const { return m_header; }
    const std::filesystem::path& path() const { return m_file.path(); }
    std::uint64_t fileBytes() const { return m_file.size(); }
    /// Fills `out`, which is exactly as long as the tensor. `info` is one of header().tensors.
    Result<void> read(const TensorInfo& info, std::span<std::uint8_t> out) const;
    /// Part of a tensor: `offset` counts from its first byte.
    Result<void> read(const TensorInfo& info, std::uint64_t offset, std::span<std::uint8_t> out) const;

private:
    SafetensorsFile(ReadOnlyFile file, SafetensorsHeader header);
    ReadOnlyFile m_file;
    SafetensorsHeader m_header;
};

/// The tensors of one model part, spread over one or more files. Names are unique over all files.
class Checkpoint {
public:
    static Result<Checkpoint> open(const std::vector<std::filesystem::path>& files,
                                   const SafetensorsLimits& limits = {});
    /// A shard index (`*.safetensors.index.json`): shards lie in its folder and hold exactly the tensors it
    /// lists.
    static Result<Checkpoint> openIndex(const std::filesystem::path& index,
                                        const SafetensorsLimits& limits = {});

    /// Stays valid as long as the checkpoint, also when that is moved. Null when there is no such tensor.
    const TensorInfo* find(std::string_view name) const;
    bool has(std::string_view name) const { return find(name) != nullptr; }
    std::vector<std::string> names() const; ///< sorted
    std::size_t size() const { return m_places.size(); }
    /// Fills `out`, which is exactly as long as the tensor.
    Result<void> read(std::string_view name, std::span<std::uint8_t> out) const;
    Result<void> read(std::string_view name, std::uint64_t offset, std::span<std::uint8_t> out) const;
    std::uint64_t totalBytes() const { return m_totalBytes; } ///< of all tensors
    const std::map<std::string, std::string, std::less<>>& metadata() const { return m_metadata; }
    std::vector<std::filesystem::path> files() const; ///< in shard order

private:
    struct Place {
        std::size_t file = 0;
        std::size_t tensor = 0;
    };
    std::vector<SafetensorsFile> m_files;
    std::map<std::string, Place, std::less<>> m_places;
    std::map<std::string, std::string, std::less<>> m_metadata;
    std::uint64_t m_totalBytes = 0;
};

} // namespace canopy
