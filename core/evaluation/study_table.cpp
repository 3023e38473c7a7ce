#include "core/evaluation/study_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace canopy::evaluation {
namespace {

constexpr int kResamples = 10'000;

double median(std::vector<double> values) {
    if (values.empty())
        return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// One clip of an arm: the first repeat, with the median time of all.
struct Clip {
    const StudyResult* first = nullptr;
    double seconds = 0;
};
using Place = std::pair<std::size_t, std::size_t>; ///< prompt, seed
using ArmClips = std::map<Place, Clip>;

std::vector<ArmClips> clipsByArm(const StudyGrid& grid, const std::vector<StudyResult>& results) {
    std::vector<std::map<Place, std::vector<double>>> times(grid.arms.size());
    std::vector<ArmClips> clips(grid.arms.size());
    for (const StudyResult& r : results) {
        if (r.arm >= grid.arms.size())
            continue;
        times[r.arm][{r.prompt, r.seed}].push_back(r.denoiseSeconds);
        if (r.repeat == 0)
            clips[r.arm][{r.prompt, r.seed}].first = &r;
    }
    for (std::size_t arm = 0; arm < clips.size(); ++arm) {
        std::erase_if(clips[arm], [](const auto& item) { return item.second.first == nullptr; });
        for (auto& [place, clip] : clips[arm])
            clip.seconds = median(times[arm][place]);
    }
    return clips;
}

/// Interval of get(clip) over the clips for which it has a value.
template <typename Get>
std::optional<Interval> over(const ArmClips& clips, Get get) {
    std::map<std::size_t, std::vector<double>> byPrompt;
    for (const auto& [place, clip] : clips)
        if (const std::optional<double> value = get(place, clip))
            byPrompt[place.first].push_back(*value);
    if (byPrompt.empty())
        return std::nullopt;
    std::vector<std::vector<double>> groups;
    for (auto& [prompt, values] : byPrompt)
        groups.push_back(std::move(values));
    return bootstrapInterval(groups);
}

std::optional<double> meanOf(const ArmClips& clips, std::optional<double> StudyResult::*field) {
    double sum = 0;
    int count = 0;
    for (const auto& [place, clip] : clips)
        if (const auto& value = clip.first->*field) {
            sum += *value;
            ++count;
        }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::vector<double> meanBlocks(const ArmClips& clips) {
    std::vector<double> sums;
    int count = 0;
    for (const auto& [place, clip] : clips) {
        const auto& blocks = clip.first->blockPsnr;
        if (blocks.empty() || (count > 0 && blocks.size() != sums.size()))
            continue;
        sums.resize(blocks.size());
        for (std::size_t b = 0; b < blocks.size(); ++b)
            sums[b] += blocks[b];
        ++count;
    }
    for (double& sum : sums)
        sum /= count;
    return sums;
}

/// One arm of a family.
struct FamilyPoint {
    double psnr = 0, logSeconds = 0;
    std::optional<double> logFlop;
};
using Family = std::vector<FamilyPoint>; ///< ascending in PSNR, at least two

double between(const Family& family, double psnr, double (*figure)(const FamilyPoint&)) {
    auto above = std::find_if(family.begin() + 1, family.end() - 1,
                              [&](const FamilyPoint& p) { return p.psnr >= psnr; });
    const FamilyPoint& low = *(above - 1);
    const double span = above->psnr - low.psnr;
    const double share = span > 0 ? std::clamp((psnr - low.psnr) / span, 0.0, 1.0) : 0.5;
    return figure(low) + share * (figure(*above) - figure(low));
}

/// Mean over [low, high] of the other's figure minus the family's.
double meanDifference(const Family& family, const Family& other, double low, double high,
                      double (*figure)(const FamilyPoint&)) {
    constexpr int kPoints = 101;
    double sum = 0;
    for (int i = 0; i < kPoints; ++i) {
        const double psnr = low + (high - low) * i / (kPoints - 1);
        sum += between(other, psnr, figure) - between(family, psnr, figure);
    }
    return sum / kPoints;
}

Family familyOf(const std::vector<StudyRow>& table, const std::vector<std::size_t>& arms) {
    Family family;
    for (const std::size_t arm : arms) {
        const StudyRow& row = table[arm];
        if (!row.psnr || row.denoiseSeconds <= 0)
            continue;
        FamilyPoint point{row.psnr->mean, std::log(row.denoiseSeconds), std::nullopt};
        if (row.flop && *row.flop > 0)
            point.logFlop = std::log(*row.flop);
        family.push_back(point);
    }
    std::sort(family.begin(), family.end(),
              [](const FamilyPoint& a, const FamilyPoint& b) { return a.psnr < b.psnr; });
    return family;
}

bool countsAll(const Family& family) {
    return std::all_of(family.begin(), family.end(),
                       [](const FamilyPoint& p) { return p.logFlop.has_value(); });
}

/// Of which every one of these arms has a clip.
std::set<Place> commonPlaces(const std::vector<ArmClips>& clips, const std::vector<std::size_t>& arms,
                             const std::vector<std::size_t>& more) {
    std::set<Place> common;
    for (const auto& [place, clip] : clips[arms.front()])
        common.insert(place);
    for (const auto* some : {&arms, &more})
        for (const std::size_t arm : *some)
            std::erase_if(common, [&](const Place& place) { return !clips[arm].contains(place); });
    return common;
}

std::optional<double> followedShare(const StudyResult& r) {
    return r.followed && r.followed->asked > 0
               ? std::optional(static_cast<double>(r.followed->right) / r.followed->asked)
               : std::nullopt;
}

/// exp of an interval of logarithms.
std::optional<Interval> exponential(std::optional<Interval> logs) {
    if (logs)
        logs = Interval{std::exp(logs->mean), std::exp(logs->low), std::exp(logs->high), logs->clips};
    return logs;
}

/// log(theirs / ours) of paired times.
auto timeRatio(const ArmClips& theirs) {
    return [&theirs](const Place& place, const Clip& clip) -> std::optional<double> {
        const auto other = theirs.find(place);
        if (other == theirs.end() || clip.seconds <= 0 || other->second.seconds <= 0)
            return std::nullopt;
        return std::log(other->second.seconds / clip.seconds);
    };
}

template <typename Get>
auto pairedWith(const ArmClips& theirs, Get get) {
    return [&theirs, get](const Place& place, const Clip& clip) -> std::optional<double> {
        const auto other = theirs.find(place);
        if (other == theirs.end())
            return std::nullopt;
        const std::optional<double> mine = get(*clip.first), there = get(*other->second.first);
        return mine && there ? std::optional(*mine - *there) : std::nullopt;
    };
}

} // namespace

Interval bootstrapInterval(const std::vector<std::vector<double>>& byPrompt) {
    Interval out;
    std::vector<std::pair<double, int>> sums;
    double all = 0;
    for (const auto& values : byPrompt) {
        double sum = 0;
        for (const double v : values)
            sum += v;
        sums.emplace_back(sum, static_cast<int>(values.size()));
        all += sum;
        out.clips += static_cast<int>(values.size());
    }
    if (out.clips == 0)
        return out;
    out.mean = all / out.clips;
    std::mt19937_64 random(1); // its sequence is fixed by the standard, that of distributions is not
    std::vector<double> means;
    means.reserve(kResamples);
    for (int i = 0; i < kResamples; ++i) {
        double sum = 0;
        int count = 0;
        for (std::size_t draw = 0; draw < sums.size(); ++draw) {
            const auto& [value, n] = sums[random() % sums.size()];
            sum += value;
            count += n;
        }
        means.push_back(sum / std::max(count, 1));
    }
    std::sort(means.begin(), means.end());
    out.low = means[static_cast<std::size_t>(kResamples * 0.025)];
    out.high = means[static_cast<std::size_t>(kResamples * 0.975) - 1];
    return out;
}

std::vector<MatchedFidelity> matchedFidelity(const StudyGrid& grid, const std::vector<StudyResult>& results) {
    std::vector<std::pair<std::string, std::vector<std::size_t>>> families; // with their arms
    for (std::size_t arm = 0; arm < grid.arms.size(); ++arm) {
        const std::string& name = grid.arms[arm].family;
        if (name.empty())
            continue;
        auto it = std::find_if(families.begin(), families.end(),
                               [&](const auto& family) { return family.first == name; });
        if (it == families.end())
            it = families.insert(families.end(), {name, {}});
        it->second.push_back(arm);
    }
    const std::vector<ArmClips> clips = clipsByArm(grid, results);
    std::vector<MatchedFidelity> out;
    for (std::size_t a = 0; a < families.size(); ++a)
        for (std::size_t b = a + 1; b < families.size(); ++b) {
            const auto common = commonPlaces(clips, families[a].second, families[b].second);
            std::vector<StudyResult> both;
            for (const StudyResult& r : results)
                if (common.contains({r.prompt, r.seed}))
                    both.push_back(r);
            const std::vector<StudyRow> table = studyTable(grid, both);
            const Family mine = familyOf(table, families[a].second),
                         theirs = familyOf(table, families[b].second);
            if (mine.size() < 2 || theirs.size() < 2)
                continue;
            MatchedFidelity m;
            m.family = families[a].first;
            m.other = families[b].first;
            m.clips = static_cast<int>(common.size());
            m.psnrLow = std::max(mine.front().psnr, theirs.front().psnr);
            m.psnrHigh = std::min(mine.back().psnr, theirs.back().psnr);
            if (m.psnrLow > m.psnrHigh)
                continue;
            m.fasterBy = std::exp(meanDifference(mine, theirs, m.psnrLow, m.psnrHigh,
                                                 [](const FamilyPoint& p) { return p.logSeconds; }));
            if (countsAll(mine) && countsAll(theirs))
                m.flopRatio = std::exp(meanDifference(mine, theirs, m.psnrLow, m.psnrHigh,
                                                      [](const FamilyPoint& p) { return *p.logFlop; }));
            out.push_back(std::move(m));
        }
    return out;
}

std::vector<StudyRow> studyTable(const StudyGrid& grid, const std::vector<StudyResult>& results) {
    const std::vector<ArmClips> clips = clipsByArm(grid, results);
    const ArmClips& reference = clips[grid.reference];
    const auto psnrOf = [](const StudyResult& r) { return r.psnr; };
    const auto ssimOf = [](const StudyResult& r) { return r.ssim; };
    std::vector<StudyRow> table;
    for (std::size_t arm = 0; arm < grid.arms.size(); ++arm) {
        const ArmClips& mine = clips[arm];
        StudyRow row;
        row.arm = grid.arms[arm].name;
        row.isReference = arm == grid.reference;
        row.isFloor = grid.arms[arm].isFloor;
        row.against = grid.arms[arm].against;
        row.clips = static_cast<int>(mine.size());
        std::vector<double> seconds;
        double estimate = 0, attention = 0;
        for (const auto& [place, clip] : mine) {
            seconds.push_back(clip.seconds);
            estimate += clip.first->estimateSeconds.value_or(0);
            attention += clip.first->attentionSeconds.value_or(0);
            if (clip.first->followed) {
                row.followedCount.right += clip.first->followed->right;
                row.followedCount.asked += clip.first->followed->asked;
            }
        }
        row.denoiseSeconds = median(seconds);
        if (estimate + attention > 0)
            row.estimateShare = estimate / (estimate + attention);
        row.density = meanOf(mine, &StudyResult::density);
        row.reusedShare = meanOf(mine, &StudyResult::reusedShare);
        row.worstPsnr = meanOf(mine, &StudyResult::worstPsnr);
        row.hitRate = meanOf(mine, &StudyResult::hitRate);
        row.flop = meanOf(mine, &StudyResult::flop);
        row.flopEstimate = meanOf(mine, &StudyResult::flopEstimate);
        if (const auto whole = meanOf(reference, &StudyResult::flop); row.flop && whole && *whole > 0)
            row.flopSaved = 1 - *row.flop / *whole;
        row.blockPsnr = meanBlocks(mine);
        row.psnr = over(mine, [&](const Place&, const Clip& c) { return psnrOf(*c.first); });
        row.ssim = over(mine, [&](const Place&, const Clip& c) { return ssimOf(*c.first); });
        row.followed = over(mine, [](const Place&, const Clip& c) { return followedShare(*c.first); });
        if (!row.isReference)
            row.speedUp = exponential(over(mine, timeRatio(reference)));
        const auto other = std::find_if(grid.arms.begin(), grid.arms.end(),
                                        [&](const StudyArm& a) { return a.name == row.against; });
        if (other != grid.arms.end()) {
            const ArmClips& theirs = clips[static_cast<std::size_t>(other - grid.arms.begin())];
            row.psnrGain = over(mine, pairedWith(theirs, psnrOf));
            row.ssimGain = over(mine, pairedWith(theirs, ssimOf));
            row.followedGain = over(mine, pairedWith(theirs, followedShare));
            row.timeGain = exponential(over(mine, timeRatio(theirs)));
        }
        table.push_back(std::move(row));
    }
    return table;
}

} // namespace canopy::evaluation
