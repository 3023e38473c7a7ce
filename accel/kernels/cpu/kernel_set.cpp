#include "accel/kernels/cpu/kernel_set.h"

#include <initializer_list>

#if CANOPY_X86_KERNELS && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace canopy::accel::kernels {

#if CANOPY_X86_KERNELS
namespace {

/// Linux gives a process the tile registers only when it asks for them (arch_prctl, 5.16 and later); threads
/// inherit the permission.
bool mayUseTiles() {
#ifdef __linux__
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return granted;
#else
    return false;
#endif
}

} // namespace
#endif

bool isSupported(KernelSet set) {
#if CANOPY_X86_KERNELS
    switch (set) {
    case KernelSet::Amx:
        return isSupported(KernelSet::Avx512Bf16) && __builtin_cpu_supports("amx-tile") &&
               __builtin_cpu_supports("amx-bf16") && mayUseTiles();
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
    for (const KernelSet set : {KernelSet::Amx, KernelSet::Avx512Bf16, KernelSet::Avx512, KernelSet::Avx2})
        if (isSupported(set))
            return set;
    return KernelSet::Portable;
}

const char* kernelSetName(KernelSet set) {
    switch (set) {
    case KernelSet::Amx:
        return "amx";
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
