#pragma once

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/model_config.h"
#include "core/job/memory_plan.h"

namespace canopy {

// A model's record and a memory plan as they travel from the window to the worker and back, and into
// recordings. Unknown keys are ignored when reading, missing ones keep their default, wrong types are an
// error.

Value toValue(const ModelRecord& model);
Result<ModelRecord> modelRecordFromValue(const Value& value);

/// {"stages": [{"name", "items": [{"category", "device", "bytes"}]}]}
Value toValue(const MemoryPlan& plan);
Result<MemoryPlan> memoryPlanFromValue(const Value& value);

} // namespace canopy
