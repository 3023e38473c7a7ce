#pragma once

// What all CPU kernels share. Included by files compiled for a wider instruction set: declarations only.
namespace canopy::accel::kernels {

enum class StorageDtype { Float32, BFloat16 };

/// From the plainest to the fastest. Which ones exist depends on the build and on the processor.
enum class KernelSet { Portable, Avx2, Avx512, Avx512Bf16, Amx };

/// The fastest set of this build and processor.
KernelSet bestKernelSet();
/// Asking for Amx also asks the kernel for its tile registers, once a process.
bool isSupported(KernelSet set);
/// "amx", "avx512bf16", "avx512", "avx2" or "portable"; stored with a clip, since sets differ in rounding.
const char* kernelSetName(KernelSet set);

} // namespace canopy::accel::kernels
