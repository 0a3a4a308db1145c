# Configures, builds and runs one consumer project; for find_package installs llmproc first.
cmake_minimum_required(VERSION 3.25)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(shared OFF)
if(LIBRARY STREQUAL "shared")
    set(shared ON)
endif()

set(common
    -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${CXX}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}"
    "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}"
    "-DCMAKE_CXX_FLAGS=${FLAGS}"
    "-DCMAKE_CXX_FLAGS_DEBUG=${FLAGS_DEBUG}"
    "-DLLMPROC_WARNINGS_AS_ERRORS=${WERROR}"
)
# Boost's package reads BUILD_SHARED_LIBS too, so a static build leaves it unset.
if(shared)
    list(APPEND common -DBUILD_SHARED_LIBS=ON)
endif()

set(prefix "${WORK}/prefix")
file(REMOVE_RECURSE "${WORK}")

if(CONSUMER STREQUAL "find_package")
    run(
        "${CMAKE_COMMAND}" -S "${LLMPROC_SOURCE}" -B "${WORK}/llmproc" ${common}
        -DLLMPROC_BUILD_TESTS=OFF -DLLMPROC_BUILD_EXAMPLES=OFF -DLLMPROC_BUILD_TESTING=ON
        "-DCMAKE_INSTALL_PREFIX=${prefix}"
    )
    run("${CMAKE_COMMAND}" --build "${WORK}/llmproc")
    run("${CMAKE_COMMAND}" --install "${WORK}/llmproc")
    list(APPEND common "-DCMAKE_PREFIX_PATH=${prefix}")
else()
    list(APPEND common "-DLLMPROC_SOURCE=${LLMPROC_SOURCE}")
endif()

run(
    "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${CONSUMER}" -B "${WORK}/consumer" ${common}
)
run("${CMAKE_COMMAND}" --build "${WORK}/consumer")
run("${WORK}/consumer/consumer")

if(CONSUMER STREQUAL "find_package")
    run("${WORK}/consumer/consumer_test")
    run("${WORK}/consumer/own_provider")
    run("${prefix}/bin/llmproc-mock-server" --help)
    find_program(pkg_config pkg-config)
    if(pkg_config)
        file(GLOB_RECURSE pc "${prefix}/*/llmproc.pc")
        run("${pkg_config}" --validate "${pc}")
    endif()
endif()
# Only the log of a failure needs the tree.
file(REMOVE_RECURSE "${WORK}")
