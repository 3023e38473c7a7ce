# ccache and mold where they are installed; both can be switched off or replaced from the command line.
option(CANOPY_USE_CCACHE "Compile through ccache when it is installed" ON)
option(CANOPY_USE_MOLD "Link with mold when it is installed" ON)

if(CANOPY_USE_CCACHE AND "${CMAKE_CXX_COMPILER_LAUNCHER}" MATCHES "^(.*ccache)?$")
    find_program(CANOPY_CCACHE ccache)
    if(CANOPY_CCACHE)
        # Without this sloppiness ccache refuses to cache what uses a precompiled header. Paths below the checkout are
        # hashed relative to it, so that another clone finds what this one compiled.
        set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros
            CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CANOPY_CCACHE})
        set(CMAKE_CUDA_COMPILER_LAUNCHER ${CANOPY_CCACHE})
    endif()
endif()

if(CANOPY_USE_MOLD)
    find_program(CANOPY_MOLD mold)
    if(CANOPY_MOLD)
        add_link_options($<$<LINK_LANGUAGE:CXX>:-fuse-ld=mold>)
    endif()
endif()
