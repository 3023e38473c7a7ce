// Stands in for libcuda.so.1: answers what the environment says, so that every failure of cuda_loader can be
// shown on a machine without a card.
#include <cstdlib>

namespace {

int number(const char* variable, int otherwise) {
    const char* text = std::getenv(variable);
    return text ? std::atoi(text) : otherwise;
}

} // namespace

extern "C" {

int cuInit(unsigned) {
    return number("FAKE_DRIVER_INIT", 0);
}

int cuDriverGetVersion(int* version) {
    *version = number("FAKE_DRIVER_VERSION", 13000);
    return 0;
}

int cuDeviceGetCount(int* count) {
    *count = number("FAKE_DRIVER_COUNT", 1);
    return 0;
}
}
