#include "tests/bench/canopy_bench/interleave.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace canopy::bench {

double Timing::median() const {
    auto sorted = milliseconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
}
double Timing::least() const {
    return *std::min_element(milliseconds.begin(), milliseconds.end());
}
double Timing::most() const {
    return *std::max_element(milliseconds.begin(), milliseconds.end());
}

std::vector<Timing> interleave(const std::vector<Contender>& contenders, int warmUps, int rounds) {
    const c10::impl::VirtualGuardImpl card(c10::kCUDA);
    std::vector<Timing> timings;
    for (const Contender& contender : contenders)
        timings.push_back({contender.name, contender.kernel, contender.flop, {}});
    for (int round = -warmUps; round < rounds; ++round) {
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            const c10::Stream stream = card.getStream(card.getDevice());
            c10::Event before(c10::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
            c10::Event after(c10::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
            before.record(stream);
            contenders[i].run();
            after.record(stream);
            after.synchronize();
            if (round >= 0)
                timings[i].milliseconds.push_back(before.elapsedTime(after));
        }
    }
    return timings;
}

} // namespace canopy::bench
