# No public header reaches a heavy library, also not through another header:
#   cmake -D COMPILER=... -D INCLUDES=<folders> -P check_light.cmake -- <include folder> <subfolder>
# json.hpp is there to give the whole JSON type; provider.hpp and testing/ are outside the facade.
cmake_minimum_required(VERSION 3.25)

math(EXPR last "${CMAKE_ARGC} - 1")
math(EXPR before_last "${CMAKE_ARGC} - 2")
set(root "${CMAKE_ARGV${before_last}}")
set(folder "${CMAKE_ARGV${last}}")

set(heavy boost/beast boost/asio/ssl boost/asio\\.hpp boost/url openssl nlohmann/json\\.hpp toml\\+\\+ boost/process)
set(exempt "llmproc/json\\.hpp$|llmproc/testing/")

set(flags -std=c++20 -M "-I${root}")
foreach(include IN LISTS INCLUDES)
    if(include)
        list(APPEND flags "-I${include}")
    endif()
endforeach()

file(GLOB_RECURSE headers RELATIVE "${root}" "${root}/${folder}/*.hpp")
set(problems)
foreach(header IN LISTS headers)
    if("${root}/${header}" MATCHES "${exempt}")
        continue()
    endif()
    execute_process(
        COMMAND "${COMPILER}" ${flags} -x c++ "${root}/${header}"
        OUTPUT_VARIABLE reached
        ERROR_VARIABLE errors
        RESULT_VARIABLE failed
    )
    if(failed)
        message(FATAL_ERROR "${header}: its includes cannot be resolved:\n${errors}")
    endif()
    foreach(library IN LISTS heavy)
        if(reached MATCHES "/(${library}[^ \n]*)")
            list(APPEND problems "${header}: reaches ${CMAKE_MATCH_1}")
        endif()
    endforeach()
endforeach()

list(LENGTH headers count)
if(problems OR count EQUAL 0)
    list(JOIN problems "\n  " text)
    message(FATAL_ERROR "${count} headers under ${root}/${folder}:\n  ${text}")
endif()
message(STATUS "${count} headers are light.")
