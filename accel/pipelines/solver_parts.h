#pragma once

#include <string>

#include "accel/policies/state_parts.h"
#include "accel/samplers/solver.h"

namespace canopy::accel {

/// The tensors of a solver's state under `name`; step and order are the caller's.
inline void putSolver(const std::string& name, const SolverState& solver, StateParts& parts) {
    for (std::size_t i = 0; i < solver.clean.size(); ++i)
        parts.put(name + ".clean." + std::to_string(i), solver.clean[i]);
    parts.put(name + ".last", solver.lastSample);
}

inline SolverState getSolver(const std::string& name, int step, int order, const StateParts& parts) {
    SolverState solver;
    solver.step = step;
    solver.order = order;
    for (auto clean = parts.get(name + ".clean.0"); clean.defined();
         clean = parts.get(name + ".clean." + std::to_string(solver.clean.size())))
        solver.clean.push_back(clean);
    solver.lastSample = parts.get(name + ".last");
    return solver;
}

} // namespace canopy::accel
