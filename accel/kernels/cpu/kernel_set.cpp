#include "accel/kernels/cpu/kernel_set.h"

#include <initializer_list>

namespace canopy::accel::kernels {

bool isSupported(KernelSet set) {
#if CANOPY_X86_KERNELS
    switch (set) {
    case KernelSet::Avx512Bf16:
        return isSupported(KernelSet::Avx512) && __builtin_cpu_supports("avx512bf16");
    case KernelSet::Avx512:
        return isSupported(KernelSet::Avx2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    case KernelSet::Avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case KernelSet::Portable:
        return true;
    }
#endif
    return set == KernelSet::Portable;
}

KernelSet bestKernelSet() {
    for (const KernelSet set : {KernelSet::Avx512Bf16, KernelSet::Avx512, KernelSet::Avx2})
        if (isSupported(set))
            return set;
    return KernelSet::Portable;
}

const char* kernelSetName(KernelSet set) {
    switch (set) {
    case KernelSet::Avx512Bf16:
        return "avx512bf16";
    case KernelSet::Avx512:
        return "avx512";
    case KernelSet::Avx2:
        return "avx2";
    case KernelSet::Portable:
        break;
    }
    return "portable";
}

} // namespace canopy::accel::kernels
