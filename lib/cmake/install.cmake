# Installs the library, its headers, the package for find_package() and the pkg-config file.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/multifork")
if(type STREQUAL "SHARED_LIBRARY")
    set(pc_cflags "-DMULTIFORK_SHARED")
endif()
# The prefix is said from where the file lies, so that it holds after cmake --install --prefix and
# wherever the package is moved to.
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${pc_dir}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
    set(pc_prefix "/")
    cmake_path(RELATIVE_PATH pc_prefix BASE_DIRECTORY "/${pc_dir}")
    string(PREPEND pc_prefix "\${pcfiledir}/")
endif()
# Absolute install directories are allowed, hence no plain ${prefix}/… in the pkg-config file.
cmake_path(APPEND pc_libdir "\${prefix}" "${CMAKE_INSTALL_LIBDIR}")
cmake_path(APPEND pc_includedir "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")
# As pkg-config itself writes ${pcfiledir}.
foreach(path pc_prefix pc_libdir pc_includedir)
    string(REPLACE " " "\\ " ${path} "${${path}}")
endforeach()

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
    DESTINATION "${pc_dir}")
