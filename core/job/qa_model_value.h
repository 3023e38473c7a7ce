#pragma once

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/qa_model.h"

namespace canopy {

/// A QaModelRecord as a map, for the channel. Reading checks it (checkQaModel).
Value toValue(const QaModelRecord& record);
Result<QaModelRecord> qaModelRecordFromValue(const Value& value);

} // namespace canopy
