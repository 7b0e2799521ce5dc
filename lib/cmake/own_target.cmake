# What every target of this project is built with: warnings, sanitizers, the compiler cache.
# Nothing here reaches a program that uses the library.

if(PROJECT_IS_TOP_LEVEL)
    find_program(MULTIFORK_CCACHE ccache)
    mark_as_advanced(MULTIFORK_CCACHE)
    if(MULTIFORK_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${MULTIFORK_CCACHE}")
    endif()
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# multifork_own_target(<target>): C++20 without extensions, warnings when this is the top-level
# project, and the chosen sanitizers.
function(multifork_own_target target)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
    target_compile_features(${target} PRIVATE cxx_std_20)

    if(PROJECT_IS_TOP_LEVEL)
        target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
        # Instrumented code takes other paths through the optimiser, which then suspects too much.
        if(MULTIFORK_WERROR AND NOT MULTIFORK_SANITIZE)
            target_compile_options(${target} PRIVATE -Werror)
        endif()
        # By itself GCC looks for garbage again and again in what a precompiled header holds; below
        # 1 GB it need not. What it writes stays the same.
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            target_compile_options(${target} PRIVATE --param=ggc-min-heapsize=1000000)
        endif()
        # GCC 12 sees overlapping copies in any inlined std::string assignment (its bug 105651).
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
            target_compile_options(${target} PRIVATE -Wno-restrict)
        endif()
    endif()

    if(MULTIFORK_SANITIZE)
        list(JOIN MULTIFORK_SANITIZE "," sanitizers)
        target_compile_options(${target} PRIVATE
            -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PUBLIC $<BUILD_INTERFACE:-fsanitize=${sanitizers}>)
    endif()
endfunction()
