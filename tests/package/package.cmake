# Tests of the package as a whole: its layers, its lists, and the ways to use it.

# The compiler of this build, and where it has found the libraries.
set(package_environment "CXX=${CMAKE_CXX_COMPILER}")
set(prefixes ${CMAKE_PREFIX_PATH} $ENV{CMAKE_PREFIX_PATH})
if(prefixes)
    list(JOIN prefixes ":" prefixes)
    list(APPEND package_environment "CMAKE_PREFIX_PATH=${prefixes}")
endif()

function(multifork_package_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "COMMAND;LABELS")
    add_test(NAME package.${name} COMMAND ${arg_COMMAND})
    set_tests_properties(package.${name} PROPERTIES
        LABELS "package;${arg_LABELS}"
        TIMEOUT 3600 # for a slow machine, too
        ENVIRONMENT "${package_environment}")
endfunction()

set(here "${CMAKE_CURRENT_LIST_DIR}")
multifork_package_test(layers LABELS fast COMMAND "${here}/../layers")
multifork_package_test(layers_are_watched LABELS fast COMMAND "${here}/../layers" --self-check)
multifork_package_test(listed LABELS fast COMMAND "${here}/listed")
multifork_package_test(no_guards LABELS fast COMMAND "${here}/no_guards" "$<TARGET_FILE:multifork>")

# Each behaviour of Python has a test case, or is known to be missing.
multifork_package_test(rows LABELS fast COMMAND
    "${here}/../conformance/report" --check "$<TARGET_FILE:test-conformance>")
multifork_package_test(rows_are_watched LABELS fast COMMAND
    "${here}/../conformance/report" --self-check)

# The guards around every test case: the program fails, the guard says why.
add_executable(test-guards package/guards.cpp)
multifork_own_target(test-guards)
multifork_test_limit(test-guards 30)
target_link_libraries(test-guards PRIVATE ${library_under_test}-test-support)
set_target_properties(test-guards PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
function(multifork_guard_test name case words)
    multifork_package_test(${name} LABELS fast COMMAND test-guards --run_test=guards/${case})
    set_tests_properties(package.${name} PROPERTIES PASS_REGULAR_EXPRESSION "${words}")
endfunction()
multifork_guard_test(watchdog_strikes hangs "watchdog: guards/hangs took longer")
multifork_guard_test(zombie_is_found leaves_a_zombie "left behind: process .* state Z")
multifork_guard_test(orphan_is_found leaves_an_orphan "left behind: process .* state S")
multifork_guard_test(name_is_found leaves_a_name "left behind: /dev/shm/multifork.guards-t")

# The others build something by themselves, without the sanitizers of this build.
if(MULTIFORK_SANITIZE)
    return()
endif()
# What a user's compiler is told.
set(user_arguments "")
foreach(dependency Boost::headers cereal::cereal fmt::fmt)
    get_target_property(folders ${dependency} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
        list(TRANSFORM folders PREPEND "-I")
        list(APPEND user_arguments ${folders})
    endif()
endforeach()
get_target_property(type multifork TYPE)
if(type STREQUAL "SHARED_LIBRARY")
    list(APPEND user_arguments -DMULTIFORK_SHARED)
endif()
multifork_package_test(headers_compile_alone LABELS fast COMMAND
    "${here}/headers_alone" ${user_arguments})
multifork_package_test(headers_alone_are_watched LABELS fast COMMAND
    "${here}/headers_alone" --self-check)
if(MULTIFORK_INSTALL)
    foreach(method find_package pkg_config)
        multifork_package_test(${method} LABELS fast COMMAND
            "${here}/consume" ${method} "${PROJECT_BINARY_DIR}")
    endforeach()
endif()
foreach(method add_subdirectory shared)
    multifork_package_test(${method} LABELS full COMMAND
        "${here}/consume" ${method} "${PROJECT_SOURCE_DIR}")
endforeach()
