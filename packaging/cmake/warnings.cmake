# One INTERFACE target carries what every target of ours is compiled with.
# -Wno-restrict: GCC 12 warns falsely on inlined std::string (GCC PR 105651).
add_library(canopy_warnings INTERFACE)
target_compile_options(canopy_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
        -Wcast-qual -Wimplicit-fallthrough -Werror -Wno-restrict>)
target_compile_definitions(canopy_warnings INTERFACE QT_NO_KEYWORDS)

if(CANOPY_SANITIZE STREQUAL "address")
    target_compile_options(canopy_warnings INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
        -fno-omit-frame-pointer -g1)
    target_link_options(canopy_warnings INTERFACE -fsanitize=address,undefined)
elseif(CANOPY_SANITIZE STREQUAL "thread")
    target_compile_options(canopy_warnings INTERFACE -fsanitize=thread -g1)
    target_link_options(canopy_warnings INTERFACE -fsanitize=thread)
elseif(CANOPY_SANITIZE)
    message(FATAL_ERROR "CANOPY_SANITIZE is '${CANOPY_SANITIZE}'; expected empty, address or thread")
endif()
