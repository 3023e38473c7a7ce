#pragma once

#include <c10/core/ScalarType.h>

#include <stdexcept>

#include "core/formats/safetensors.h"

namespace canopy::accel {

/// LibTorch's element type for one of safetensors.
inline at::ScalarType scalarType(DType type) {
    switch (type) {
    case DType::F64:
        return at::kDouble;
    case DType::F32:
        return at::kFloat;
    case DType::F16:
        return at::kHalf;
    case DType::BF16:
        return at::kBFloat16;
    case DType::I64:
        return at::kLong;
    case DType::I32:
        return at::kInt;
    case DType::I16:
        return at::kShort;
    case DType::I8:
        return at::kChar;
    case DType::U8:
        return at::kByte;
    case DType::Bool:
        return at::kBool;
    case DType::F8E4M3:
        return at::kFloat8_e4m3fn;
    case DType::F8E5M2:
        return at::kFloat8_e5m2;
    case DType::U16:
        return at::kUInt16;
    case DType::U32:
        return at::kUInt32;
    case DType::U64:
        return at::kUInt64;
    }
    throw std::logic_error("unknown element type");
}

/// The other way round. Throws std::logic_error for types that safetensors lacks.
inline DType dtypeOf(at::ScalarType type) {
    for (const DType candidate : {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::I32,
                                  DType::I16, DType::I8, DType::U8, DType::Bool})
        if (scalarType(candidate) == type)
            return candidate;
    throw std::logic_error("an element type that no file holds");
}

} // namespace canopy::accel
