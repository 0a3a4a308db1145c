# Every C++ block of these documents stands in one of the sources here, but for indentation, blank lines
# and includes, which may stand anywhere in the file: cmake -D ROOT=<source folder> -P check.cmake
cmake_minimum_required(VERSION 3.25)

set(documents
    README.md docs/adding_a_provider.md docs/event-loop.md docs/getting_started.md
    docs/observability.md docs/typed_answers.md
)
set(sources
    event_loop.cpp ten_lines.cpp snippets.cpp getting_started.cpp observability.cpp own_provider.cpp
    typed_answers.cpp ../../src/providers/profiles.cpp
)

# Indentation, trailing space, blank lines and includes removed; ends with a line break.
function(normalised out text)
    string(REGEX REPLACE "[ \t]*\n[ \t\n]*" "\n" text "\n${text}\n")
    string(REGEX REPLACE "\n#include [^\n]*" "" text "${text}")
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(tested "")
foreach(source IN LISTS sources)
    file(READ "${CMAKE_CURRENT_LIST_DIR}/${source}" text)
    normalised(text "${text}")
    string(APPEND tested "${text}")
endforeach()

set(fence "```cpp\n")
foreach(document IN LISTS documents)
    file(READ "${ROOT}/${document}" rest)
    set(blocks 0)
    string(FIND "${rest}" "${fence}" begin)
    while(NOT begin EQUAL -1)
        math(EXPR begin "${begin} + 7")
        string(SUBSTRING "${rest}" ${begin} -1 rest)
        string(FIND "${rest}" "```" end)
        string(SUBSTRING "${rest}" 0 ${end} block)
        normalised(body "${block}")
        string(FIND "${tested}" "${body}" place)
        if(place EQUAL -1)
            message(SEND_ERROR "In ${document}, but not in tests/readme:\n${block}")
        endif()
        math(EXPR blocks "${blocks} + 1")
        math(EXPR end "${end} + 3")
        string(SUBSTRING "${rest}" ${end} -1 rest)
        string(FIND "${rest}" "${fence}" begin)
    endwhile()
    if(blocks EQUAL 0)
        message(SEND_ERROR "No C++ block found in ${document}")
    endif()
    message(STATUS "${document}: ${blocks} blocks of C++")
endforeach()
