#include "app/worker/environment.h"

#include <cstdlib>
#include <unistd.h>

namespace canopy::worker {

void prepareEnvironment(char** argv) {
    if (std::getenv("GOMP_SPINCOUNT") && std::getenv("PYTORCH_CUDA_ALLOC_CONF"))
        return;
    // A person's own choice stays.
    ::setenv("GOMP_SPINCOUNT", "1000", 0);
    ::setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", 0);
    ::execv("/proc/self/exe", argv);
    // Still here: /proc is not mounted. The worker runs all the same, only slower under load.
}

} // namespace canopy::worker
