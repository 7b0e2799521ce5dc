# Installs the library, its headers, the package for find_package() and the pkg-config file.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/multifork")
if(type STREQUAL "SHARED_LIBRARY")
    set(pc_cflags "-DMULTIFORK_SHARED")
endif()
# Absolute install directories are allowed, hence no plain ${prefix}/… in the pkg-config file.
cmake_path(APPEND pc_libdir "\${prefix}" "${CMAKE_INSTALL_LIBDIR}")
cmake_path(APPEND pc_includedir "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")

install(TARGETS multifork EXPORT multifork FILE_SET HEADERS)
install(EXPORT multifork
    NAMESPACE multifork::
    FILE multifork-targets.cmake
    DESTINATION "${package_dir}")

configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/multifork-config.cmake.in"
    "${CMAKE_CURRENT_BINARY_DIR}/multifork-config.cmake"
    INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(
    "${CMAKE_CURRENT_BINARY_DIR}/multifork-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/multifork-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/multifork-config-version.cmake"
    DESTINATION "${package_dir}")

configure_file(
    "${CMAKE_CURRENT_LIST_DIR}/multifork.pc.in"
    "${CMAKE_CURRENT_BINARY_DIR}/multifork.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/multifork.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
