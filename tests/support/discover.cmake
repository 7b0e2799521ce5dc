# Runs after a test program was linked: asks it for its cases and writes the entries for ctest.
#
# In: PROGRAM, NAME, ENTRIES (the file to write), LABELS (for every case), SANITIZE.

cmake_minimum_required(VERSION 3.25)

execute_process(
    COMMAND "${PROGRAM}" --list-cases
    OUTPUT_VARIABLE listing
    COMMAND_ERROR_IS_FATAL ANY)

# Slow machines and instrumented programs get longer. The watchdog inside the program is meant to
# strike first, because it knows more; this limit stands behind it.
set(text "set(slowdown 1)
if(DEFINED ENV{MULTIFORK_TEST_SLOWDOWN})
  set(slowdown \$ENV{MULTIFORK_TEST_SLOWDOWN})
endif()
")

string(REGEX MATCHALL "[^\n]+" lines "${listing}")
foreach(line IN LISTS lines)
    # suite/case <tab> seconds <tab> label,label
    string(REGEX MATCH "^([^\t]+)\t([0-9]+)\t(.*)$" line "${line}")
    set(path "${CMAKE_MATCH_1}")
    set(seconds "${CMAKE_MATCH_2}")
    string(REPLACE "," ";" labels "${CMAKE_MATCH_3}")
    list(APPEND labels "${NAME}" ${LABELS})
    list(REMOVE_DUPLICATES labels)
    if(("address" IN_LIST SANITIZE AND "no_asan" IN_LIST labels)
            OR ("thread" IN_LIST SANITIZE AND "no_tsan" IN_LIST labels))
        continue()
    endif()

    string(REPLACE "/" "." entry "${NAME}.${path}")
    string(REGEX REPLACE "\\*$" "" entry "${entry}")
    set(serial FALSE)
    if("serial" IN_LIST labels)
        set(serial TRUE)
    endif()
    string(APPEND text "
add_test([=[${entry}]=] [=[${PROGRAM}]=] [=[--run_test=${path}]=])
math(EXPR seconds \"${seconds} * 2 * \${slowdown} + 30\")
set_tests_properties([=[${entry}]=] PROPERTIES
  LABELS [=[${labels}]=] TIMEOUT \${seconds} SKIP_RETURN_CODE 77 RUN_SERIAL ${serial})
")
endforeach()

file(WRITE "${ENTRIES}" "${text}")
