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
# A unity build includes sources, whose anonymous namespaces then look as if headers had them.
if(CMAKE_UNITY_BUILD)
    target_compile_options(llmproc_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(LLMPROC_WARNINGS_AS_ERRORS)
    target_compile_options(llmproc_warnings INTERFACE -Werror)
endif()
