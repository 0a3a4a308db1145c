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
if(LLMPROC_WARNINGS_AS_ERRORS)
    target_compile_options(llmproc_warnings INTERFACE -Werror)
endif()
