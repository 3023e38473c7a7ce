#include "core/studio/answer_file.h"

#include <utility>

#include "core/base/files.h"
#include "core/base/value_codec.h"

namespace canopy {
namespace {

constexpr std::int64_t kVersion = 1;
/// A run of 512 frames of 14 x 14 cells has about 10 MB.
constexpr std::size_t kMaxBytes = std::size_t{256} << 20;
constexpr CodecLimits kLimits{
    .maxBytes = kMaxBytes, .maxDepth = 32, .maxValues = std::size_t{1} << 22, .maxStringBytes = kMaxBytes};

Result<std::shared_ptr<const TokenRun>> shared(Result<TokenRun> run) {
    if (!run)
        return run.error();
    return std::shared_ptr<const TokenRun>(std::make_shared<TokenRun>(std::move(*run)));
}

} // namespace

std::filesystem::path answerFileOf(const std::filesystem::path& dataFolder, JobId job) {
    return dataFolder / "answers" / ("answer-" + std::to_string(job) + ".cbor");
}

Result<void> writeAnswerFile(const std::filesystem::path& file, const TokenRun& run) {
    std::error_code ec;
    std::filesystem::create_directories(file.parent_path(), ec);
    if (ec)
        return makeError(ErrorCode::Io, "The folder for answers could not be made (" + ec.message() +
                                            "): " + file.parent_path().string());
    const auto bytes = toCbor(Value{}.set("version", kVersion).set("run", toValue(run)));
    return writeFileAtomically(file, std::span<const std::uint8_t>(bytes));
}

Result<std::shared_ptr<const TokenRun>> readAnswerFile(const std::filesystem::path& file) {
    const auto bytes = readFile(file, kMaxBytes);
    if (!bytes)
        return bytes.error();
    const auto value = parseCbor(*bytes, kLimits);
    if (!value)
        return value.error();
    if ((*value)["version"].asInt() != kVersion)
        return makeError(ErrorCode::Unsupported, "The tokens of this answer are of version " +
                                                     std::to_string((*value)["version"].asInt()) +
                                                     ", this program reads version " +
                                                     std::to_string(kVersion) + ": " + file.string());
    return shared(tokenRunFromValue((*value)["run"]));
}

Result<std::shared_ptr<const TokenRun>> tokenRunFromBytes(std::span<const std::uint8_t> cbor) {
    const auto value = parseCbor(cbor, kLimits);
    if (!value)
        return value.error();
    return shared(tokenRunFromValue(*value));
}

} // namespace canopy
