# Every program that the documentation shows is compiled and run, one test a page.

# They are built by themselves, without the sanitizers of this build.
if(MULTIFORK_SANITIZE)
    return()
endif()

# What its compiler is told, and its linker: the library with what it needs.
set(arguments "-I${PROJECT_SOURCE_DIR}/include" -pthread ${user_arguments}) # of package.cmake
set(libraries
    "$<TARGET_FILE:multifork>" "$<TARGET_FILE:fmt::fmt>" "$<TARGET_FILE:OpenSSL::Crypto>"
    "-Wl,-rpath,$<TARGET_FILE_DIR:multifork>")

# Nearly every program reads multifork.hpp first. GCC takes it precompiled from a folder before the
# others, where there is one, and as it is where another header comes before it.
set(precompiled "${CMAKE_CURRENT_BINARY_DIR}/docs-precompiled")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(PREPEND arguments "-I${precompiled}" --param=ggc-min-heapsize=1000000)
endif()

function(multifork_docs_test name)
    add_test(NAME docs.${name}
        COMMAND "${PROJECT_SOURCE_DIR}/tests/docs/snippets" ${ARGN} ${arguments}
        COMMAND_EXPAND_LISTS)
    set_tests_properties(docs.${name} PROPERTIES
        LABELS "docs;fast"
        TIMEOUT 3600 # for a slow machine, too
        ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}")
endfunction()

function(multifork_docs_page name page)
    multifork_docs_test(${name} "${page}" ${libraries})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        set_tests_properties(docs.${name} PROPERTIES FIXTURES_REQUIRED docs_precompiled)
    endif()
endfunction()

multifork_docs_test(wrong_pages_are_caught --self-check ${libraries})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    multifork_docs_test(precompiled --precompile "${precompiled}")
    set_tests_properties(docs.precompiled PROPERTIES FIXTURES_SETUP docs_precompiled)
endif()
multifork_docs_page(readme "${PROJECT_SOURCE_DIR}/README.md")
multifork_docs_page(coming_from_python "${PROJECT_SOURCE_DIR}/docs/coming-from-python.md")
multifork_docs_page(what_can_travel "${PROJECT_SOURCE_DIR}/docs/what-can-travel.md")
file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/tutorial/[0-9]*.md")
foreach(page IN LISTS pages)
    cmake_path(GET page STEM stem)
    string(REPLACE "-" "_" stem "${stem}")
    multifork_docs_page("tutorial_${stem}" "${page}")
endforeach()
