# Holds the floors against the includes:
#   cmake -D ROOT=<source folder> -P check_layers.cmake
# A floor may include itself and the floors in its row. A public header belongs to the floor of its
# source; the facades are for users only.
cmake_minimum_required(VERSION 3.25)

set(floors core model wire async net runtime providers tools process program agent cli testing)

set(allowed_core)
set(allowed_model core)
set(allowed_wire core)
set(allowed_async core)
set(allowed_net core wire async)
set(allowed_runtime core async)
set(allowed_providers core model wire)
set(allowed_tools core model wire async net runtime)
set(allowed_process ${allowed_tools} providers tools)
set(allowed_program ${allowed_process} process)
set(allowed_agent ${allowed_program} program)
set(allowed_cli ${allowed_agent} agent)
set(allowed_testing core runtime)
# The scripted server shares the plain values of HTTP with us, and nothing that parses them.
set(also_testing <llmproc/http_message.hpp>)

set(no_asio core model wire providers)

set(public_core
    call_metrics context_map detail/type_node detail/type_of embeddings error export json json_fwd log
    observer otel raw_json run_options secret timeouts typed usage version
)
set(public_model chat cost message stream_event)
set(public_wire http_message)
set(public_async asio_fwd)
set(public_net stats)
set(public_runtime
    event_loop executor queue run_main run_sync structured task task_group
)
set(public_providers provider)
set(public_tools)
set(public_process
    process run_result stream sync_process sync_stream token_provider typed_result
)
set(public_program program)
set(public_agent)
set(public_cli)
set(public_testing)
set(facades llmproc sync)

set(problems)

# problem(<file> <text>)
macro(problem file text)
    list(APPEND problems "${file}: ${text}")
endmacro()

# public_floor(<out> <header under include/llmproc, without .hpp>): its floor, "facade" or "".
function(public_floor out name)
    set(${out} "" PARENT_SCOPE)
    if(name MATCHES "^testing/")
        set(${out} testing PARENT_SCOPE)
    elseif(name IN_LIST facades)
        set(${out} facade PARENT_SCOPE)
    endif()
    foreach(floor IN LISTS floors)
        if(name IN_LIST public_${floor})
            set(${out} ${floor} PARENT_SCOPE)
        endif()
    endforeach()
endfunction()

# check_include(<file> <its floor> <included text, with its quotes or brackets>)
macro(check_include file floor included)
    set(target)
    if("${included}" MATCHES "^<llmproc/(.+)\\.hpp>$")
        public_floor(target "${CMAKE_MATCH_1}")
        if(NOT target)
            problem("${file}" "includes ${included}, which no floor in cmake/check_layers.cmake lists")
        elseif(target STREQUAL facade AND NOT "${floor}" STREQUAL facade)
            problem("${file}" "includes the facade ${included} instead of the headers it needs")
            set(target)
        endif()
    elseif("${included}" MATCHES "^\"([a-z_]+)/")
        set(target "${CMAKE_MATCH_1}")
        if(NOT target IN_LIST floors)
            problem("${file}" "includes ${included}, whose folder is no floor")
            set(target)
        endif()
    elseif("${included}" MATCHES "^\"")
        problem("${file}" "includes ${included}, write it as \"folder/name.hpp\"")
    elseif("${included}" MATCHES "^<boost/(asio|beast)" AND "${floor}" IN_LIST no_asio)
        problem("${file}" "${floor} does no I/O, yet includes ${included}")
    endif()
    if(target
       AND NOT "${floor}" STREQUAL facade
       AND NOT target STREQUAL "${floor}"
       AND NOT target IN_LIST allowed_${floor}
       AND NOT "${included}" IN_LIST also_${floor}
    )
        problem("${file}" "${floor} may not include ${target}: ${included}")
    endif()
endmacro()

file(
    GLOB_RECURSE files
    LIST_DIRECTORIES false
    RELATIVE "${ROOT}"
    "${ROOT}/src/*.cpp"
    "${ROOT}/src/*.hpp"
    "${ROOT}/include/llmproc/*.hpp"
)
list(SORT files)
list(LENGTH files file_count)
if(file_count EQUAL 0)
    message(FATAL_ERROR "No sources under '${ROOT}'. Give the source folder with -D ROOT=...")
endif()

foreach(file IN LISTS files)
    set(floor)
    if(file MATCHES "^src/([a-z_]+)/")
        set(floor "${CMAKE_MATCH_1}")
        if(NOT floor IN_LIST floors)
            problem("${file}" "its folder is no floor, add it to cmake/check_layers.cmake")
            continue()
        endif()
    elseif(file MATCHES "^include/llmproc/(.+)\\.hpp$")
        public_floor(floor "${CMAKE_MATCH_1}")
        if(NOT floor)
            problem("${file}" "public header without a floor, add it to cmake/check_layers.cmake")
            continue()
        endif()
    else()
        problem("${file}" "lies in no floor's folder")
        continue()
    endif()

    file(STRINGS "${ROOT}/${file}" lines REGEX "^[ \t]*#[ \t]*include")
    foreach(line IN LISTS lines)
        if(line MATCHES "include[ \t]*([<\"][^>\"]+[>\"])")
            check_include("${file}" "${floor}" "${CMAKE_MATCH_1}")
        endif()
    endforeach()
endforeach()

if(problems)
    list(LENGTH problems problem_count)
    foreach(text IN LISTS problems)
        message(NOTICE "${text}")
    endforeach()
    message(FATAL_ERROR "${problem_count} include(s) break the floors.")
endif()
message(STATUS "${file_count} files keep to the floors.")
