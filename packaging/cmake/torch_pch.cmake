# One precompiled header of LibTorch's tensor class for all engine libraries. ATen/ops/*.h stay narrow includes in the
# sources: the header saves parsing time and takes nothing away from "include what you use".
option(CANOPY_PRECOMPILED_HEADERS "Precompile LibTorch's tensor header for the engine" ON)

# canopy_use_torch_pch(target): for libraries only, since executables are compiled with -fPIE and the header with -fPIC.
# Sources with compile options of their own are left out: GCC takes a precompiled header only under equal options.
function(canopy_use_torch_pch target)
    if(NOT CANOPY_PRECOMPILED_HEADERS)
        return()
    endif()
    if(NOT TARGET canopy_torch_pch)
        set(source ${CMAKE_BINARY_DIR}/torch_pch.cpp)
        file(CONFIGURE OUTPUT ${source} CONTENT "// Carries the engine's precompiled header.\n")
        add_library(canopy_torch_pch OBJECT ${source})
        target_link_libraries(canopy_torch_pch PRIVATE canopy_warnings torch::torch_cpu)
        target_precompile_headers(canopy_torch_pch PRIVATE
            <ATen/core/Tensor.h> <ATen/TensorOperators.h> <ATen/Parallel.h> <ATen/ops/empty.h> <ATen/ops/zeros.h>
            <functional> <memory> <string> <unordered_map> <vector>)
        # ccache sees through GCC's precompiled headers only with this.
        target_compile_options(canopy_torch_pch PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
    endif()
    get_target_property(sources ${target} SOURCES)
    get_target_property(folder ${target} SOURCE_DIR)
    foreach(source IN LISTS sources)
        cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder})
        get_source_file_property(options ${source} TARGET_DIRECTORY ${target} COMPILE_OPTIONS)
        get_source_file_property(flags ${source} TARGET_DIRECTORY ${target} COMPILE_FLAGS)
        if(options OR flags)
            set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
        endif()
    endforeach()
    target_precompile_headers(${target} REUSE_FROM canopy_torch_pch)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()

# Called once, after all targets: every engine library that uses tensors.
function(canopy_apply_torch_pch)
    get_property(targets GLOBAL PROPERTY CANOPY_TARGETS)
    foreach(target IN LISTS targets)
        get_target_property(layer ${target} CANOPY_LAYER)
        if(layer STREQUAL "accel" AND NOT target MATCHES "_(kernels_cpu|runtime)$")
            canopy_use_torch_pch(${target})
        endif()
    endforeach()
endfunction()
