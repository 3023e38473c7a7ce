#include "tests/bench/canopy_bench/flash_attention3.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <dlfcn.h>

#include <string>

namespace canopy::bench {

Result<DenseAttention> openFlashAttention3(const std::filesystem::path& library) {
    // Lazily: the library is a Python module too, and the interpreter's symbols are not called here.
    if (!::dlopen(library.c_str(), RTLD_LAZY | RTLD_GLOBAL))
        return makeError(ErrorCode::NotFound,
                         "FlashAttention-3 could not be opened: " + std::string(::dlerror()));
    const auto found = c10::Dispatcher::singleton().findSchema({"fa3_fwd::fwd", ""});
    if (!found)
        return makeError(ErrorCode::Unsupported,
                         "The library registers no operator fa3_fwd::fwd: " + library.string());
    return DenseAttention([op = *found](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        torch::jit::Stack stack{q, k, v};
        const auto& arguments = op.schema().arguments();
        for (std::size_t i = stack.size(); i < arguments.size(); ++i) {
            // One split, as the public interface calls it.
            const auto& argument = arguments[i];
            stack.push_back(argument.name() == "num_splits"
                                ? c10::IValue(std::int64_t{1})
                                : argument.default_value().value_or(c10::IValue()));
        }
        op.callBoxed(stack);
        return stack.front().toTensor();
    });
}

} // namespace canopy::bench
