# LLMPROC_SANITIZE applies to everything that is built in this tree: a program and the library must
# agree on it. Definitions that its inline code depends on are public, so that both sides have them.
add_library(llmproc_options INTERFACE)
target_compile_features(llmproc_options INTERFACE cxx_std_20)
set(llmproc_public_definitions)

if(LLMPROC_SANITIZE)
    string(REPLACE "," ";" llmproc_sanitizers "${LLMPROC_SANITIZE}")
    foreach(name IN LISTS llmproc_sanitizers)
        if(NOT name MATCHES "^(address|undefined|thread)$")
            message(
                FATAL_ERROR
                "LLMPROC_SANITIZE=${LLMPROC_SANITIZE}: '${name}' is not known. Use address, undefined, "
                "thread, or several of them with commas."
            )
        endif()
    endforeach()
    if("thread" IN_LIST llmproc_sanitizers AND "address" IN_LIST llmproc_sanitizers)
        message(FATAL_ERROR "LLMPROC_SANITIZE: address and thread exclude each other.")
    endif()

    add_compile_options("-fsanitize=${LLMPROC_SANITIZE}" -fno-omit-frame-pointer)
    add_link_options("-fsanitize=${LLMPROC_SANITIZE}")
    if("undefined" IN_LIST llmproc_sanitizers)
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
    if("thread" IN_LIST llmproc_sanitizers AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Asio uses atomic_thread_fence, which g++ warns about under this sanitizer.
        add_compile_options(-Wno-tsan)
    endif()
    # Asio reuses coroutine frames, which hides a use after free from the sanitizers.
    set(llmproc_public_definitions BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
    target_compile_definitions(llmproc_options INTERFACE ${llmproc_public_definitions})
endif()
