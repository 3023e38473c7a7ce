#include <doctest/doctest.h>

#include "tests/accel/parity/qa_models.h"

namespace canopy::test {

void checkSiglip(const ParityCase& reference) {
    const auto config = siglipConfig(reference.config());
    const auto pixels = reference.tensor("in.pixel_values");
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto tower = loadSiglip(config, file);
        int compared = 0;
        accel::SiglipTower::Call call;
        call.tap = [&](std::string_view name, const at::Tensor& x) {
            const std::string stored = "mid." + std::string(name);
            if (!reference.has(stored))
                return;
            expectClose(x, reference.tensor(stored), reference.tolerance(), stored);
            ++compared;
        };
        const auto output = (*tower)(pixels, call);
        expectClose(output.hidden, reference.tensor("out.before_post_layernorm"), reference.tolerance(),
                    "out.before_post_layernorm");
        CHECK(compared >= config.layers + 1);
    }
}

} // namespace canopy::test
