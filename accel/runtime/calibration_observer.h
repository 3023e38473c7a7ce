#pragma once

#include <string_view>

#include "core/job/calibration_request.h"
#include "core/job/memory_plan.h"

namespace canopy::accel {

/// Where a calibration tells what it does. Called on the inference thread; must not block. Std types only.
class CalibrationObserver {
public:
    virtual ~CalibrationObserver() = default;

    virtual void resolved(const CalibrationRequest& request, const MemoryPlan& plan) = 0;
    /// "load", "text", "calibrate" (units: transformer blocks run, over all prompts that are left).
    virtual void stage(std::string_view name, int unit, int units) = 0;
    /// One head at one of its steps, once each.
    virtual void measured(const HeadMeasurement& measurement) = 0;
};

} // namespace canopy::accel
