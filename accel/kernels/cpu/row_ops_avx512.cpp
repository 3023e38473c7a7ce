#include "accel/kernels/cpu/row_ops.h"
#include "accel/kernels/cpu/row_ops_kernel_set.h"
#include "accel/kernels/cpu/row_ops_rows.h"

namespace canopy::accel::kernels {

extern const RowKernels kAvx512Rows;
const RowKernels kAvx512Rows = makeRowKernels();

} // namespace canopy::accel::kernels
