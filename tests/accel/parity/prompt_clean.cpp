#include "tests/support/parity_case.h"

#include <doctest/doctest.h>

#include "core/formats/prompt_clean.h"

namespace canopy::test {

/// Raw prompts to cleaned text, exact.
void checkPromptClean(const ParityCase& reference) {
    const auto& rows = reference.json()["rows"].asArray();
    REQUIRE(!rows.empty());
    for (const auto& row : rows) {
        const auto cleaned = cleanPrompt(row["raw"].asString());
        REQUIRE_MESSAGE(cleaned.ok(), cleaned.error().message);
        CHECK_MESSAGE(*cleaned == row["clean"].asString(), reference.name(), ": ", row["raw"].asString());
    }
}

} // namespace canopy::test
