#pragma once

#include <cstdint>

namespace canopy::accel::ops {

/// Floating-point operations of the matrix products that ops::linear and ops::attention run on the calling
/// thread while it lives: a multiply and an add count as two, and a key that a query does not see counts
/// nothing. One at a time a thread; an inner one hides the outer one. Home thread: the inference thread.
class ProductCounter {
public:
    ProductCounter();
    ~ProductCounter();
    ProductCounter(const ProductCounter&) = delete;
    ProductCounter& operator=(const ProductCounter&) = delete;

    double flop() const { return m_flop; }
    /// False where lists of keys lay on a card, whose lengths no host reads.
    bool knowsAll() const { return m_knowsAll; }

private:
    friend void countFlop(double flop);
    friend void countUnknown();

    double m_flop = 0;
    bool m_knowsAll = true;
    ProductCounter* m_outer;
};

void countFlop(double flop);
void countUnknown();

} // namespace canopy::accel::ops
