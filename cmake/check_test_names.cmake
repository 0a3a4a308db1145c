# What must have a test that names it (the wire recordings, the traps of the protocols, the cells of
# the table of providers) is compared with the sources of the tests:
#   cmake -D ROOT=<source folder> -P check_test_names.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB_RECURSE sources "${ROOT}/tests/*.cpp" "${ROOT}/tests/*.hpp")
list(FILTER sources EXCLUDE REGEX "/node_modules/|/tests/lint/")
set(text)
set(tests)
foreach(source IN LISTS sources)
    file(READ "${source}" content)
    # Brackets and semicolons mean something in a list of CMake.
    string(REGEX REPLACE "[][;]" " " content "${content}")
    string(APPEND text "${content}")
    string(
        REGEX MATCHALL
        "TEST(_F|_P)?\\([A-Za-z0-9_]+,[ \n]*[A-Za-z0-9_]+"
        found
        "${content}"
    )
    list(TRANSFORM found REPLACE "^TEST(_F|_P)?\\(([A-Za-z0-9_]+),[ \n]*" "\\2.")
    list(APPEND tests ${found})
endforeach()

set(problems)

# Recordings: by the name of the file, or by what comes before the first dot.
file(GLOB recordings RELATIVE "${ROOT}/tests/cassettes" "${ROOT}/tests/cassettes/*/*")
foreach(recording IN LISTS recordings)
    get_filename_component(name "${recording}" NAME)
    string(REGEX REPLACE "\\..*" "" stem "${name}")
    string(REGEX MATCH "[\"/](${stem}|${name})(\\.[a-z]+)*\"" found "${text}")
    if(NOT found)
        list(APPEND problems "tests/cassettes/${recording}: no test names it")
    endif()
endforeach()

# The traps of provider protocols that have nothing to do with MCP.
foreach(trap RANGE 1 30)
    set(named "${tests}")
    list(FILTER named INCLUDE REGEX "\\.Trap${trap}_")
    if(NOT named AND (trap LESS 23 OR trap GREATER 27))
        list(APPEND problems "no test is named Trap${trap}_...")
    endif()
endforeach()

# docs/providers_table.md: each `Suite.Name` is a test.
if(EXISTS "${ROOT}/docs/providers_table.md")
    file(READ "${ROOT}/docs/providers_table.md" table)
    string(REGEX REPLACE "[][;]" " " table "${table}")
    string(REGEX MATCHALL "`[A-Za-z0-9_]+Test\\.[A-Za-z0-9_]+`" cells "${table}")
    list(TRANSFORM cells REPLACE "`" "")
    list(REMOVE_DUPLICATES cells)
    foreach(cell IN LISTS cells)
        if(NOT cell IN_LIST tests)
            list(APPEND problems "docs/providers_table.md: there is no test ${cell}")
        endif()
    endforeach()
    list(LENGTH cells count)
    if(count LESS 40)
        list(APPEND problems "docs/providers_table.md: only ${count} tests are named")
    endif()
endif()

if(problems)
    list(JOIN problems "\n  " lines)
    message(FATAL_ERROR "Not tested:\n  ${lines}")
endif()
list(LENGTH tests count)
list(LENGTH recordings files)
message(STATUS "${count} tests, ${files} recordings")
