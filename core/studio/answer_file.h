#pragma once

// Private to core/studio: what is kept of an answered question beside its row.

#include <filesystem>
#include <memory>

#include "core/base/result.h"
#include "core/job/token_run.h"
#include "core/project/job_store.h"

namespace canopy {

/// "answers/answer-17.cbor" in the data folder.
std::filesystem::path answerFileOf(const std::filesystem::path& dataFolder, JobId job);

/// {"version": 1, "run": TokenRun}, written whole or not at all.
Result<void> writeAnswerFile(const std::filesystem::path& file, const TokenRun& run);
Result<std::shared_ptr<const TokenRun>> readAnswerFile(const std::filesystem::path& file);

/// A TokenRun as the worker sends it.
Result<std::shared_ptr<const TokenRun>> tokenRunFromBytes(std::span<const std::uint8_t> cbor);

} // namespace canopy
