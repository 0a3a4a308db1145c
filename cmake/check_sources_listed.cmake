# Every .cpp is named in a CMakeLists.txt, so that none is silently left out of the build:
#   cmake -D ROOT=<source folder> -P check_sources_listed.cmake
cmake_minimum_required(VERSION 3.25)

file(
    GLOB_RECURSE sources
    RELATIVE "${ROOT}"
    "${ROOT}/src/*.cpp"
    "${ROOT}/tests/*_test.cpp"
    "${ROOT}/tests/*_fuzz.cpp"
    "${ROOT}/examples/*.cpp"
    "${ROOT}/bench/*.cpp"
)
list(FILTER sources EXCLUDE REGEX "^tests/(lint|layers|package)/|/node_modules/")
# Taken by the beginning of their names: the areas of tests/CMakeLists.txt.
list(
    FILTER sources
    EXCLUDE REGEX
        "^tests/event_loop/(loop|task|bridge|structured|executor|system|process|soak)_([a-z0-9_]*_)?test\\.cpp$"
)

set(missing)
foreach(source IN LISTS sources)
    # The list is in the file's own folder or in one above it.
    get_filename_component(name "${source}" NAME)
    get_filename_component(folder "${source}" DIRECTORY)
    string(REPLACE "." "\\." pattern "${name}")
    set(found FALSE)
    while(folder AND NOT found)
        if(EXISTS "${ROOT}/${folder}/CMakeLists.txt")
            file(READ "${ROOT}/${folder}/CMakeLists.txt" text)
            if(text MATCHES "(^|[ \t\n/(])${pattern}([ \t\n)]|$)")
                set(found TRUE)
            endif()
        endif()
        get_filename_component(folder "${folder}" DIRECTORY)
    endwhile()
    if(NOT found)
        list(APPEND missing "${source}")
    endif()
endforeach()

if(missing)
    list(JOIN missing "\n  " text)
    message(FATAL_ERROR "In no CMakeLists.txt, so never built:\n  ${text}")
endif()
