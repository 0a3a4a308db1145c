# Every find_package of the library itself. What an installed llmproc needs again is repeated in
# llmprocConfig.cmake.in; keep the two in step.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Boost's own package file first: CMake's FindBoost module is gone from CMake 4 on, and knows no
# component "headers" without it.
find_package(Boost 1.81 QUIET CONFIG COMPONENTS headers url)
if(NOT TARGET Boost::headers OR NOT TARGET Boost::url)
    find_package(Boost 1.81 REQUIRED COMPONENTS url)
endif()

find_package(OpenSSL 3.0 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(tomlplusplus 3.3 REQUIRED)
