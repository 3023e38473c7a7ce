#pragma once

#include <array>
#include <vector>

#include "core/base/result.h"
#include "core/job/chunk_record.h"

namespace canopy {

/// One step of one chunk: how much its time feature and its velocity changed since the step before.
struct ChangeSample {
    double time = 0;
    double output = 0;
    bool operator==(const ChangeSample&) const = default;
};

/// Changes of the time feature before each step, from the map of a run that would reuse all steps but the
/// first and the last, with the identity in place of the polynomial; 0 for those two.
std::vector<double> timeChanges(const ChunkRun& run);

/// The steps of a record that was made without a policy, so that its changes are the velocity's own, beside
/// `times` per step. Steps without either are left out.
std::vector<ChangeSample> changeSamples(const ChunkRecord& record, const std::vector<double>& times);

struct ReuseFit {
    std::array<double, 5> polynomial{}; ///< degree 4, highest power first
    double residual = 0;                ///< root mean square
    double meanChange = 0;              ///< of the output
    double largestTimeChange = 0;
};

/// Least squares of degree 4, as TeaCache's polynomials were made (flow-cache.md 5). Fewer than five
/// different changes of time are ErrorCode::InvalidArgument: more steps are needed.
Result<ReuseFit> fitReuse(const std::vector<ChangeSample>& samples);

} // namespace canopy
