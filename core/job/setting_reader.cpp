#include "core/job/setting_reader.h"

namespace canopy {

Result<void> checkSettingsVersion(const Value& value, int newest) {
    if (!value.isMap())
        return makeError(ErrorCode::Malformed, "These settings are not a map of names and values; they are "
                                               "damaged or not from this program.");
    if (!value["version"].isInt())
        return makeError(
            ErrorCode::Malformed,
            "These settings do not say their version; they are damaged or not from this program.");
    const std::int64_t version = value["version"].asInt();
    if (version < 1 || version > newest)
        return makeError(ErrorCode::Unsupported, "These settings are of version " + std::to_string(version) +
                                                     ", this program reads version 1 to " +
                                                     std::to_string(newest) +
                                                     "; a newer Canopy can read them.");
    return {};
}

} // namespace canopy
