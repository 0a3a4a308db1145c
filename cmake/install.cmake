include(CMakePackageConfigHelpers)

set(llmproc_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/llmproc")

install(
    TARGETS llmproc
    EXPORT llmprocTargets
    COMPONENT llmproc
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
)
install(
    DIRECTORY "${PROJECT_SOURCE_DIR}/include/llmproc"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    COMPONENT llmproc
    FILES_MATCHING
    PATTERN "*.hpp"
    PATTERN "testing" EXCLUDE
)
install(
    EXPORT llmprocTargets
    NAMESPACE llmproc::
    DESTINATION "${llmproc_config_dir}"
    COMPONENT llmproc
)

if(LLMPROC_BUILD_TESTING)
    install(
        TARGETS llmproc_testing llmproc_mock_server
        EXPORT llmprocTestingTargets
        COMPONENT testing
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
    )
    install(
        DIRECTORY "${PROJECT_SOURCE_DIR}/include/llmproc/testing"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/llmproc"
        COMPONENT testing
        FILES_MATCHING
        PATTERN "*.hpp"
    )
    install(
        EXPORT llmprocTestingTargets
        NAMESPACE llmproc::
        DESTINATION "${llmproc_config_dir}"
        COMPONENT testing
    )
endif()

get_target_property(llmproc_library_type llmproc TYPE)
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/llmprocConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/llmprocConfig.cmake"
    INSTALL_DESTINATION "${llmproc_config_dir}"
)
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/llmprocConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion
)
configure_file(
    "${PROJECT_SOURCE_DIR}/cmake/llmproc.pc.in"
    "${PROJECT_BINARY_DIR}/llmproc.pc"
    @ONLY
)
install(
    FILES
        "${PROJECT_BINARY_DIR}/llmprocConfig.cmake"
        "${PROJECT_BINARY_DIR}/llmprocConfigVersion.cmake"
    DESTINATION "${llmproc_config_dir}"
    COMPONENT llmproc
)
install(
    FILES "${PROJECT_BINARY_DIR}/llmproc.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
    COMPONENT llmproc
)
install(
    FILES "${PROJECT_SOURCE_DIR}/src/program/prices.toml"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/llmproc"
    COMPONENT llmproc
)
install(
    FILES "${PROJECT_SOURCE_DIR}/LICENSE"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}"
    COMPONENT llmproc
)
