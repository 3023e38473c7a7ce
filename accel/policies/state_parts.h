#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>

#include "core/base/value.h"

namespace canopy::accel {

/// A list of scalars.
template <typename... T>
Value listOf(T... items) {
    Value::Array list;
    list.reserve(sizeof...(T));
    (list.emplace_back(items), ...);
    return Value(std::move(list));
}

/// What a state consists of, by name, for it to be kept and put back.
struct StateParts {
    Value values{Value::Map{}}; ///< scalars and lists, JSON-like
    std::map<std::string, at::Tensor> tensors;

    /// Undefined tensors are left out and come back undefined.
    void put(std::string name, const at::Tensor& tensor) {
        if (tensor.defined())
            tensors.insert_or_assign(std::move(name), tensor);
    }
    at::Tensor get(const std::string& name) const {
        const auto found = tensors.find(name);
        return found == tensors.end() ? at::Tensor() : found->second;
    }
};

} // namespace canopy::accel
