# Warnings for our own sources only: linked privately, never exported.
add_library(llmproc_warnings INTERFACE)
target_compile_options(
    llmproc_warnings
    INTERFACE
        -Wall
        -Wextra
        -Wpedantic
        -Wshadow
        -Wconversion
        -Wsign-conversion
        -Wold-style-cast
        -Wnon-virtual-dtor
        -Woverloaded-virtual
)
# Joined sources see each other's anonymous namespaces, which then look as if headers had them.
set(
    llmproc_joined_warnings
    $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>
    $<$<CXX_COMPILER_ID:Clang>:-Wno-shadow>
)
if(CMAKE_UNITY_BUILD)
    target_compile_options(llmproc_warnings INTERFACE ${llmproc_joined_warnings})
endif()
if(LLMPROC_WARNINGS_AS_ERRORS)
    target_compile_options(llmproc_warnings INTERFACE -Werror)
endif()
