#include <cstddef>
#include <cstdio>
#include <string>

#include <doctest/doctest.h>

#include "core/media/pil_resize.h"
#include "tests/core/parity/parity_case.h"

namespace canopy::test {

namespace {

/// "resized224" or "resized224.rows96_119": the size of the whole square and the rows that are stored.
struct Stored {
    int size = 0, first = 0, last = 0;
};

Stored parse(const std::string& text) {
    Stored out;
    if (std::sscanf(text.c_str(), "resized%d.rows%d_%d", &out.size, &out.first, &out.last) == 1)
        out.last = -1;
    return out;
}

} // namespace

/// Each `<name>.in` [h, w, 3] against its `<name>.resizedS` [S, w, 3], or against some rows of it: no byte
/// differs.
void checkResizeBicubic(const StoredCase& stored) {
    const auto names = stored.tensorNames();
    int compared = 0;
    for (const auto& name : names) {
        if (!name.ends_with(".in"))
            continue;
        const auto in = stored.bytes(name);
        REQUIRE(in.shape.size() == 3);
        const std::string start = name.substr(0, name.size() - 2);
        for (const auto& result : names) {
            if (!result.starts_with(start + "resized"))
                continue;
            const auto expected = stored.bytes(result);
            REQUIRE(expected.shape.size() == 3);
            const Stored part = parse(result.substr(start.size()));
            const int width = static_cast<int>(expected.shape[1]);
            const auto whole = media::pilBicubic(in.values, static_cast<int>(in.shape[1]),
                                                 static_cast<int>(in.shape[0]), width, part.size);
            const auto rowBytes = static_cast<std::size_t>(width) * 3;
            const std::size_t from = static_cast<std::size_t>(part.first) * rowBytes;
            REQUIRE(from + expected.values.size() <= whole.size());
            REQUIRE((part.last >= 0 || expected.values.size() == whole.size()));
            std::size_t different = 0;
            for (std::size_t i = 0; i < expected.values.size(); ++i)
                different += whole[from + i] != expected.values[i];
            CHECK_MESSAGE(different == 0, result, ": ", different, " of ", expected.values.size(),
                          " bytes differ");
            ++compared;
        }
    }
    CHECK(compared > 0);
}

} // namespace canopy::test
