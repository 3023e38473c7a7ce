#pragma once

#include <memory>

#include "accel/runtime/device.h"
#include "accel/runtime/kernel_table.h"
#include "core/base/result.h"

namespace canopy::accel::cuda {

/// What this module holds for a card by its compute capability; both live as long as the process.
struct KernelTables {
    const KernelTable& hopper;
    const KernelTable& others;
};

/// Card `index` on LibTorch's current stream. Runs the probe kernel first, so that a module built for another
/// card is refused here and not in the middle of a job.
Result<std::unique_ptr<Device>> makeCudaDevice(int index, const KernelTables& tables,
                                               const char* architectures);

} // namespace canopy::accel::cuda
