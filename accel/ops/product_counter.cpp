#include "accel/ops/product_counter.h"

namespace canopy::accel::ops {
namespace {

thread_local ProductCounter* current = nullptr;

}

ProductCounter::ProductCounter()
    : m_outer(current) {
    current = this;
}

ProductCounter::~ProductCounter() {
    current = m_outer;
}

void countFlop(double flop) {
    if (current)
        current->m_flop += flop;
}

void countUnknown() {
    if (current)
        current->m_knowsAll = false;
}

} // namespace canopy::accel::ops
