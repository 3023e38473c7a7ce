#pragma once

namespace canopy::worker {

/// Sets what LibTorch's libraries read once, while they are loaded, and starts this program again in place
/// (same pid, same descriptors) when something was missing. First call of main.
///   GOMP_SPINCOUNT: threads that wait for each other sleep instead of spinning, or two busy programs on one
///   machine slow each other down tenfold. PYTORCH_CUDA_ALLOC_CONF: segments of GPU memory grow in place,
///   less is lost between tensors of unequal size. LRU_CACHE_CAPACITY and ONEDNN_PRIMITIVE_CACHE_CAPACITY:
///   oneDNN keeps a compiled product with its scratch for each shape, and every question has its own length.
void prepareEnvironment(char** argv);

} // namespace canopy::worker
