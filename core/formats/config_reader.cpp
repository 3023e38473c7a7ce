#include "core/formats/config_reader.h"

namespace canopy {

Error wrongConfigValue(std::string_view key, std::string_view expected) {
    return makeError(ErrorCode::Malformed, "The model's configuration has a wrong value for " +
                                               std::string(key) + "; expected " + std::string(expected) +
                                               ". Get the model from its publisher again");
}

bool readConfigInt(const Value& v, int& out) {
    out = static_cast<int>(std::clamp<std::int64_t>(v.asInt(), -1, std::numeric_limits<int>::max()));
    return v.isInt();
}
bool readConfigReal(const Value& v, double& out) {
    out = v.asDouble();
    return v.isNumber();
}

} // namespace canopy
