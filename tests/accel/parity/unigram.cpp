#include "tests/support/parity_case.h"

#include <cstdint>
#include <span>

#include <doctest/doctest.h>

#include "core/formats/unigram.h"

namespace canopy::test {

/// Strings to ids, bit-equal. The model file is the tensor `model_proto`.
void checkUnigram(const ParityCase& reference) {
    if (!reference.has("model_proto")) {
        MESSAGE(reference.name(),
                " is skipped: its model is not stored with it; make_references.py says where to get it");
        return;
    }
    const at::Tensor bytes = reference.tensor("model_proto").contiguous();
    const std::span model(static_cast<const std::uint8_t*>(bytes.const_data_ptr()),
                          static_cast<std::size_t>(bytes.nbytes()));
    const auto tokenizer = UnigramTokenizer::fromSentencePiece(model);
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
    const auto& size = reference.json()["model"]["vocab_size"];
    if (size.isInt())
        CHECK_EQ(tokenizer->size(), size.asInt());
    const auto& rows = reference.json()["strings"].asArray();
    REQUIRE(!rows.empty());
    for (const auto& row : rows) {
        const auto ids = tokenizer->encode(row["text"].asString());
        REQUIRE_MESSAGE(ids.ok(), ids.error().message);
        std::vector<std::int32_t> wanted;
        for (const auto& id : row["ids"].asArray())
            wanted.push_back(static_cast<std::int32_t>(id.asInt()));
        CHECK_MESSAGE(*ids == wanted, reference.name(), ": ", row["text"].asString());
    }
}

} // namespace canopy::test
