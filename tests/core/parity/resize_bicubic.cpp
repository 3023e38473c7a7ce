#include <cstddef>
#include <string>

#include <doctest/doctest.h>

#include "core/media/pil_resize.h"
#include "tests/core/parity/parity_case.h"

namespace canopy::test {

/// Each `<name>.in` [h, w, 3] against its `<name>.resizedS` [S, S, 3]: no byte differs.
void checkResizeBicubic(const StoredCase& stored) {
    const auto names = stored.tensorNames();
    int compared = 0;
    for (const auto& name : names) {
        if (!name.ends_with(".in"))
            continue;
        const auto in = stored.bytes(name);
        REQUIRE(in.shape.size() == 3);
        const std::string start = name.substr(0, name.size() - 2) + "resized";
        for (const auto& result : names) {
            if (!result.starts_with(start))
                continue;
            const auto expected = stored.bytes(result);
            REQUIRE(expected.shape.size() == 3);
            const auto ours =
                media::pilBicubic(in.values, static_cast<int>(in.shape[1]), static_cast<int>(in.shape[0]),
                                  static_cast<int>(expected.shape[1]), static_cast<int>(expected.shape[0]));
            REQUIRE(ours.size() == expected.values.size());
            std::size_t different = 0;
            for (std::size_t i = 0; i < ours.size(); ++i)
                different += ours[i] != expected.values[i];
            CHECK_MESSAGE(different == 0, result, ": ", different, " of ", ours.size(), " bytes differ");
            ++compared;
        }
    }
    CHECK(compared > 0);
}

} // namespace canopy::test
