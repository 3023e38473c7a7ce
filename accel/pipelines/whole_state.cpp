#include "accel/pipelines/whole_state.h"

#include <stdexcept>
#include <string>

#include "accel/pipelines/solver_parts.h"

namespace canopy::accel {

void saveWhole(const DenoiseState& state, StateParts& parts) {
    Value::Array groups;
    for (std::size_t g = 0; g < state.solvers.size(); ++g) {
        groups.push_back(listOf(state.solvers[g].step, state.solvers[g].order, bool(state.hasVelocity[g])));
        putSolver("group." + std::to_string(g), state.solvers[g], parts);
    }
    parts.values.set("row", state.row).set("groups", std::move(groups));
    parts.put("latents", state.latents);
    parts.put("velocity", state.velocity);
}

void restoreWhole(const StateParts& parts, DenoiseState& state) {
    const auto& groups = parts.values["groups"].asArray();
    const auto latents = parts.get("latents");
    if (groups.size() != state.solvers.size() || !latents.defined() ||
        latents.sizes() != state.latents.sizes() || latents.scalar_type() != state.latents.scalar_type())
        throw std::invalid_argument("other groups of frames or another size");
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const auto& fields = groups[g].asArray();
        if (fields.size() != 3)
            throw std::invalid_argument("a group of frames lacks fields");
        state.solvers[g] = getSolver("group." + std::to_string(g), static_cast<int>(fields[0].asInt()),
                                     static_cast<int>(fields[1].asInt()), parts);
        state.hasVelocity[g] = fields[2].asBool();
    }
    state.latents = latents.clone();
    state.velocity = parts.get("velocity");
    state.row = static_cast<int>(parts.values["row"].asInt());
}

} // namespace canopy::accel
