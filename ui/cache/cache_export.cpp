#include "ui/cache/cache_export.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/formats/npz_writer.h"

namespace canopy::ui {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const char* reasonName(CacheReason reason) {
    switch (reason) {
    case CacheReason::Threshold:
        return "threshold";
    case CacheReason::WarmUp:
        return "warm_up";
    case CacheReason::Forced:
        return "forced";
    case CacheReason::First:
        return "first";
    case CacheReason::None:
        break;
    }
    return "";
}

template <typename T>
void field(std::string& csv, T value) {
    char text[32];
    csv.append(text, std::to_chars(text, text + sizeof text, value).ptr);
    csv += ',';
}

void addKept(NpzWriter& npz, const CacheScene& scene) {
    std::int64_t latents = 0;
    bool places = false;
    for (const auto& chunk : scene.chunks)
        latents = std::max<std::int64_t>(latents, chunk.latents);
    for (const auto& kept : scene.kept)
        places = places || (kept && !kept->places.empty());
    const std::int64_t chunks = scene.chunkCount(), grid = std::int64_t{scene.gridRows} * scene.gridColumns;
    std::vector<double> shares(std::size_t(chunks * latents), kNone);
    std::vector<float> maps(places ? std::size_t(chunks * latents * grid) : 0, float(kNone));
    for (std::int64_t c = 0; c < chunks; ++c) {
        const auto& kept = scene.kept[std::size_t(c)];
        for (std::size_t l = 0; kept && l < kept->latentShares.size(); ++l) {
            const std::size_t at = std::size_t(c * latents) + l;
            shares[at] = kept->latentShares[l];
            if (!places)
                continue;
            for (std::int64_t i = 0; i < grid; ++i)
                maps[at * std::size_t(grid) + std::size_t(i)] =
                    kept->places.empty() ? float(shares[at]) : float(kept->places[l][std::size_t(i)]);
        }
    }
    const std::int64_t flat[] = {chunks, latents};
    const std::int64_t full[] = {chunks, latents, scene.gridRows, scene.gridColumns};
    npz.add("kept", flat, std::span<const double>(shares));
    if (places)
        npz.add("kept_places", full, std::span<const float>(maps));
}

} // namespace

const char* cacheStateName(CacheState state) {
    switch (state) {
    case CacheState::Computed:
        return "computed";
    case CacheState::Reused:
        return "reused";
    case CacheState::Forced:
        return "forced";
    case CacheState::NotRun:
        break;
    }
    return "not_run";
}

std::string cacheCsv(const CacheScene& scene) {
    std::string csv = "chunk,step,row,timestep,state,reason,change,accumulated_before,accumulated_after,"
                      "tokens,context_tokens,seconds\n";
    for (int c = 0; c < scene.chunkCount(); ++c)
        for (int s = 0; s < scene.steps; ++s) {
            const auto& cell = scene.cell(c, s);
            if (cell.state == CacheState::NotRun)
                continue;
            field(csv, c + 1), field(csv, s), field(csv, cell.row), field(csv, cell.timestep);
            csv += cacheStateName(cell.state), csv += ',';
            csv += reasonName(cell.reason), csv += ',';
            if (cell.change)
                field(csv, *cell.change);
            else
                csv += ',';
            field(csv, cell.before), field(csv, cell.after), field(csv, cell.tokens);
            field(csv, cell.contextTokens), field(csv, cell.seconds);
            csv.back() = '\n';
        }
    return csv;
}

Result<std::vector<std::uint8_t>> cacheNpz(const CacheScene& scene) {
    const std::int64_t shape[] = {scene.chunkCount(), scene.steps};
    NpzWriter npz;
    std::vector<std::uint8_t> states;
    std::vector<std::int32_t> rows;
    std::vector<double> change, before, after, context, seconds;
    for (const auto& cell : scene.cells) {
        states.push_back(std::uint8_t(cell.state));
        rows.push_back(cell.row);
        change.push_back(cell.change.value_or(kNone));
        before.push_back(cell.before);
        after.push_back(cell.after);
        context.push_back(double(cell.contextTokens));
        seconds.push_back(cell.seconds);
    }
    npz.add("state", shape, std::span<const std::uint8_t>(states));
    npz.add("row", shape, std::span<const std::int32_t>(rows));
    npz.add("change", shape, std::span<const double>(change));
    npz.add("before", shape, std::span<const double>(before));
    npz.add("after", shape, std::span<const double>(after));
    npz.add("context_tokens", shape, std::span<const double>(context));
    npz.add("seconds", shape, std::span<const double>(seconds));
    std::vector<std::int32_t> memoryRow;
    std::vector<double> finished, active;
    for (const auto& row : scene.memory) {
        memoryRow.push_back(row.row);
        finished.push_back(double(row.finishedRows));
        active.push_back(double(row.activeRows));
    }
    const std::int64_t count[] = {std::int64_t(memoryRow.size())};
    npz.add("memory_row", count, std::span<const std::int32_t>(memoryRow));
    npz.add("memory_finished", count, std::span<const double>(finished));
    npz.add("memory_active", count, std::span<const double>(active));
    addKept(npz, scene);
    return npz.finish();
}

} // namespace canopy::ui
