#include "app/worker/environment.h"

#include <cstdlib>
#include <unistd.h>
#include <utility>

namespace canopy::worker {
namespace {

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"GOMP_SPINCOUNT", "1000"},
    {"PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"},
    {"LRU_CACHE_CAPACITY", "64"},
    {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64"},
};

} // namespace

void prepareEnvironment(char** argv) {
    bool missing = false;
    for (const auto& [name, value] : kWanted) {
        missing |= std::getenv(name) == nullptr;
        ::setenv(name, value, 0); // a person's own choice stays
    }
    if (!missing)
        return;
    ::execv("/proc/self/exe", argv);
    // Still here: /proc is not mounted. The worker runs all the same, only slower under load.
}

} // namespace canopy::worker
