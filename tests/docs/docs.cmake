# Every program that the documentation shows is compiled and run, one test a page.

# They are built by themselves, without the sanitizers of this build.
if(MULTIFORK_SANITIZE)
    return()
endif()

# The library as a compiler's arguments, with what it needs.
set(arguments
    "-I${PROJECT_SOURCE_DIR}/include" "$<TARGET_FILE:multifork>" "$<TARGET_FILE:fmt::fmt>"
    "$<TARGET_FILE:OpenSSL::Crypto>"
    "-Wl,-rpath,$<TARGET_FILE_DIR:multifork>" -pthread)
foreach(dependency Boost::headers cereal::cereal fmt::fmt)
    get_target_property(folders ${dependency} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
        list(TRANSFORM folders PREPEND "-I")
        list(APPEND arguments ${folders})
    endif()
endforeach()
get_target_property(type multifork TYPE)
if(type STREQUAL "SHARED_LIBRARY")
    list(APPEND arguments -DMULTIFORK_SHARED)
endif()

function(multifork_docs_test name)
    add_test(NAME docs.${name}
        COMMAND "${PROJECT_SOURCE_DIR}/tests/docs/snippets" ${ARGN} ${arguments}
        COMMAND_EXPAND_LISTS)
    set_tests_properties(docs.${name} PROPERTIES
        LABELS "docs;fast"
        TIMEOUT 600
        ENVIRONMENT "CXX=${CMAKE_CXX_COMPILER}")
endfunction()

multifork_docs_test(wrong_pages_are_caught --self-check)
multifork_docs_test(readme "${PROJECT_SOURCE_DIR}/README.md")
multifork_docs_test(coming_from_python "${PROJECT_SOURCE_DIR}/docs/coming-from-python.md")
file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/tutorial/[0-9]*.md")
foreach(page IN LISTS pages)
    cmake_path(GET page STEM stem)
    string(REPLACE "-" "_" stem "${stem}")
    multifork_docs_test("tutorial_${stem}" "${page}")
endforeach()
