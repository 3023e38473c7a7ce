# Third-party parts, found once, as SYSTEM. Nothing else in the tree calls find_package.
find_package(Threads REQUIRED)
set(CANOPY_BUNDLE_DIR "${CMAKE_SOURCE_DIR}/.bundle" CACHE PATH
    "Third-party headers and static libraries for a machine without a package registry (packaging/make_bundle)")

# Header-only parts: nlohmann JSON, spdlog (fmt header-only), xxHash (inline), CLI11, doctest.
add_library(canopy_third_party_headers INTERFACE)
target_compile_definitions(canopy_third_party_headers INTERFACE
    SPDLOG_HEADER_ONLY SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY XXH_INLINE_ALL JSON_DIAGNOSTICS=0)
if(CANOPY_THIRD_PARTY_BUNDLE)
    target_include_directories(canopy_third_party_headers SYSTEM INTERFACE ${CANOPY_BUNDLE_DIR}/include)
    set(utf8proc_lib ${CANOPY_BUNDLE_DIR}/lib/libutf8proc.a)
    set(sqlite3_lib ${CANOPY_BUNDLE_DIR}/lib/libsqlite3.a)
else()
    find_library(utf8proc_lib utf8proc REQUIRED)
    find_library(sqlite3_lib sqlite3 REQUIRED)
endif()
foreach(name utf8proc sqlite3)
    add_library(canopy_${name} INTERFACE)
    target_link_libraries(canopy_${name} INTERFACE ${${name}_lib} Threads::Threads ${CMAKE_DL_LIBS} m
        canopy_third_party_headers)
endforeach()

if(CANOPY_BUILD_TESTS)
    add_library(canopy_doctest_main OBJECT ${CMAKE_SOURCE_DIR}/tests/support/doctest_main.cpp)
    target_link_libraries(canopy_doctest_main PUBLIC canopy_third_party_headers)
endif()

# LibTorch as pip lays it out: torch/{lib,include}, nvidia/*/lib beside it. Own imported targets: find_package(Torch)
# would want nvcc, edit CUDA flags and link CUDA into everything.
option(CANOPY_LIBTORCH_FROM_PYTHON "Use the LibTorch of the PyTorch that python3 finds" OFF)
if(CANOPY_BUILD_ENGINE)
    if(CANOPY_LIBTORCH_FROM_PYTHON AND NOT CANOPY_LIBTORCH_ROOT AND NOT DEFINED ENV{CANOPY_LIBTORCH_ROOT})
        # find_spec: importing torch would take seconds.
        execute_process(
            COMMAND python3 -c "import importlib.util, os, sys\nspec = importlib.util.find_spec('torch')\nif not spec: sys.exit('no module named torch in ' + sys.executable)\nprint(os.path.dirname(os.path.dirname(spec.origin)))"
            OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_VARIABLE reason RESULT_VARIABLE status)
        if(status)
            message(FATAL_ERROR "python3 finds no PyTorch, whose LibTorch this preset uses. "
                "Install torch 2.11.0 for it, or set CANOPY_LIBTORCH_ROOT. It said: ${reason}")
        endif()
        set(CANOPY_LIBTORCH_ROOT ${found} CACHE PATH "Folder that holds torch/ and nvidia/ as pip lays them out" FORCE)
    endif()
    if(NOT CANOPY_LIBTORCH_ROOT)
        if(DEFINED ENV{CANOPY_LIBTORCH_ROOT})
            set(CANOPY_LIBTORCH_ROOT $ENV{CANOPY_LIBTORCH_ROOT})
        elseif(DEFINED ENV{CANOPY_DEPS_DIR})
            set(CANOPY_LIBTORCH_ROOT $ENV{CANOPY_DEPS_DIR}/site)
        elseif(DEFINED ENV{XDG_CACHE_HOME})
            set(CANOPY_LIBTORCH_ROOT $ENV{XDG_CACHE_HOME}/canopy/deps/site)
        else()
            set(CANOPY_LIBTORCH_ROOT $ENV{HOME}/.cache/canopy/deps/site)
        endif()
    endif()
    set(version_file ${CANOPY_LIBTORCH_ROOT}/torch/version.py)
    if(NOT EXISTS ${version_file})
        message(FATAL_ERROR "No LibTorch in '${CANOPY_LIBTORCH_ROOT}' (torch/version.py is missing). "
            "Run packaging/setup, or set CANOPY_LIBTORCH_ROOT to the site-packages folder of torch 2.11.0.")
    endif()
    file(STRINGS ${version_file} version_line REGEX "^__version__")
    if(NOT version_line MATCHES "2\\.11\\.0")
        message(FATAL_ERROR "LibTorch in '${CANOPY_LIBTORCH_ROOT}' says ${version_line}; expected 2.11.0.")
    endif()
    set(torch_lib ${CANOPY_LIBTORCH_ROOT}/torch/lib)
    set(torch_include ${CANOPY_LIBTORCH_ROOT}/torch/include)
    foreach(name c10 torch_cpu)
        add_library(torch::${name} SHARED IMPORTED)
        set_target_properties(torch::${name} PROPERTIES IMPORTED_LOCATION ${torch_lib}/lib${name}.so)
        target_include_directories(torch::${name} SYSTEM INTERFACE
            ${torch_include} ${torch_include}/torch/csrc/api/include)
    endforeach()
    target_compile_definitions(torch::c10 INTERFACE AT_PER_OPERATOR_HEADERS)
    target_link_libraries(torch::torch_cpu INTERFACE torch::c10)
    # libtorch_cpu's own CUDA needs (cudart, cupti) are found by its RPATH; the linker need not resolve them.
    target_link_options(torch::torch_cpu INTERFACE -Wl,--unresolved-symbols=ignore-in-shared-libs)
    # LibTorch uses the shared libstdc++: a compiler that links its own in statically would bring a second one.
    target_link_libraries(torch::torch_cpu INTERFACE -l:libstdc++.so.6)
    set_property(TARGET torch::torch_cpu APPEND PROPERTY INTERFACE_COMPILE_OPTIONS
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-unused-parameter>)
    set(CMAKE_BUILD_RPATH ${torch_lib})
endif()

# For accel/cuda alone; everything else meets CUDA through accel/runtime/device.h. nvcc comes from a toolkit or from
# the compiler wheels that packaging/setup unpacks (then CMAKE_CUDA_COMPILER names it).
if(CANOPY_BUILD_CUDA)
    if(NOT CANOPY_BUILD_ENGINE)
        message(FATAL_ERROR "CANOPY_BUILD_CUDA needs CANOPY_BUILD_ENGINE")
    endif()
    set(CMAKE_CUDA_ARCHITECTURES ${CANOPY_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    # Debian's CMake 3.25.1 does not know that this nvcc takes C++20.
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
        set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
        set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13.0)
        message(FATAL_ERROR "nvcc says ${CMAKE_CUDA_COMPILER_VERSION}; LibTorch 2.11.0 is built with CUDA 13.0. "
            "Set CUDACXX to the nvcc of a CUDA 13 toolkit.")
    endif()
    # Not find_package(CUDAToolkit): CMake 3.25.1 stops over CUDA 13's missing nvToolsExt. LibTorch's own copy of the
    # runtime comes first, so that the process holds one.
    get_filename_component(cuda_root ${CMAKE_CUDA_COMPILER} REALPATH)
    cmake_path(GET cuda_root PARENT_PATH cuda_root)
    cmake_path(GET cuda_root PARENT_PATH cuda_root)
    find_library(CANOPY_CUDART NAMES libcudart.so.13 REQUIRED
        HINTS ${CANOPY_LIBTORCH_ROOT}/nvidia/cu13/lib ${cuda_root}/lib64 ${cuda_root}/lib)
    add_library(canopy_cudart SHARED IMPORTED)
    set_target_properties(canopy_cudart PROPERTIES IMPORTED_LOCATION ${CANOPY_CUDART})
    target_include_directories(canopy_cudart SYSTEM INTERFACE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
    foreach(name c10_cuda torch_cuda)
        add_library(torch::${name} SHARED IMPORTED)
        set_target_properties(torch::${name} PROPERTIES IMPORTED_LOCATION ${torch_lib}/lib${name}.so)
    endforeach()
    target_link_libraries(torch::c10_cuda INTERFACE torch::c10 canopy_cudart)
    target_link_libraries(torch::torch_cuda INTERFACE torch::torch_cpu torch::c10_cuda)
endif()

if(CANOPY_BUILD_UI)
    find_package(Qt6 6.4 REQUIRED COMPONENTS Core Gui Widgets Network OpenGLWidgets OpenGL Svg DBus Test)
    find_library(imgui_lib imgui REQUIRED)
    find_library(stb_lib stb)
    add_library(canopy_imgui INTERFACE)
    target_include_directories(canopy_imgui SYSTEM INTERFACE /usr/include/imgui /usr/include/imgui/backends)
    target_link_libraries(canopy_imgui INTERFACE ${imgui_lib} $<$<BOOL:${stb_lib}>:${stb_lib}> ${CMAKE_DL_LIBS})
endif()

if(CANOPY_BUILD_MEDIA)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(FFMPEG REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil libswscale libavfilter)
endif()
