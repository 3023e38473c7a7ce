#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <doctest/doctest.h>

#include "accel/models/umt5/encoder.h"
#include "tests/accel/parity/models.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

void checkUmt5(const ParityCase& reference) {
    const auto config = umt5Config(reference);
    const auto ids = reference.tensor("in.input_ids");
    const auto mask = reference.tensor("in.attention_mask");
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.string());
        const auto encoder = loadUmt5(config, file);
        const auto bias = encoder->positionBias(0, ids.size(1));
        expectClose(bias.select(1, 0), reference.tensor("mid.block0.position_bias_row0"),
                    reference.tolerance(), "position bias of query 0");
        expectClose(bias.select(2, 0), reference.tensor("mid.block0.position_bias_col0"),
                    reference.tolerance(), "position bias of key 0");
        for (std::int64_t b = 0; b < ids.size(0); ++b) {
            CAPTURE(b);
            const auto valid = mask[b].sum().item<std::int64_t>();
            // Rows behind the true length mean nothing: only those before are compared.
            const auto expectRows = [&](const std::string& name, const at::Tensor& ours) {
                if (reference.has(name))
                    expectClose(ours.narrow(0, 0, valid), reference.tensor(name)[b].narrow(0, 0, valid),
                                reference.tolerance(), name);
            };
            const auto hidden =
                encoder->encode(ids[b], mask[b], {}, [&](std::string_view name, const at::Tensor& x) {
                    expectRows("mid." + std::string(name), x);
                });
            expectRows("out.last_hidden_state", hidden);
            expectClose(encoder->promptEmbeds(ids[b], mask[b], {}),
                        reference.tensor("out.wan_prompt_embeds")[b], reference.tolerance(),
                        "out.wan_prompt_embeds");
        }
    }
}

} // namespace canopy::test
