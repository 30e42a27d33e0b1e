# What `cmake --install BUILD --prefix P` puts under P: the library and its headers, the commands that
# were built with their manual pages and completions, the bundled models where the command looks for
# them, the recipes, the guides, the license, and what makes find_package(asmlp) and pkg-config find it
# all. Nothing in it knows P: the tree can be moved.
include(CMakePackageConfigHelpers)

# Components are what packages are made of (AsmlpPackages.cmake): library, dev, tools, training.
if(BUILD_SHARED_LIBS)
  install(TARGETS asmlp_shared EXPORT asmlpTargets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
else()
  install(TARGETS asmlp_static EXPORT asmlpTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/asmlp/models
        COMPONENT tools FILES_MATCHING PATTERN "*.safetensors")
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/guide DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
if(TARGET asmlp)
  install(TARGETS asmlp RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/asmlp COMPONENT tools)
  if(NOT ASMLP_SANITIZE)  # whose programs would not run without its settings
    include(AsmlpPages)
    install(DIRECTORY ${ASMLP_PAGES}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR} COMPONENT tools)
  endif()
endif()
if(TARGET asmlp-serve)
  install(TARGETS asmlp-serve RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()
if(TARGET asmlp-torch)
  # A LibTorch outside of the system's folders is still found after the installation.
  set_target_properties(asmlp-torch PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS asmlp-torch RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT training)
endif()
if(ASMLP_SPNG_FILE)  # the one library that ASMLP_BUNDLE_DEPS found no archive of: a copy in a folder of ours
  install(FILES ${ASMLP_SPNG_FILE} DESTINATION ${CMAKE_INSTALL_LIBDIR}/asmlp RENAME libspng.so.0 COMPONENT library)
  if(BUILD_SHARED_LIBS)
    set_target_properties(asmlp_shared PROPERTIES INSTALL_RPATH "$ORIGIN/asmlp")
  endif()
  if(TARGET asmlp)
    set_target_properties(asmlp PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/asmlp")
  endif()
endif()

# What find_package and pkg-config find beside a static library: nothing beside a shared one, which hides what
# it is made of.
set(ASMLP_FIND_DEPENDENCIES)
set(ASMLP_PC_REQUIRES)
set(ASMLP_PC_LIBS -lasmlp)
if(NOT BUILD_SHARED_LIBS)
  set(ASMLP_FIND_DEPENDENCIES [[
include(CMakeFindDependencyMacro)
foreach(package Threads fmt ZLIB JPEG TIFF PkgConfig)
  find_dependency(${package})
endforeach()
foreach(name YAML=yaml-0.1 SPNG=spng DEFLATE=libdeflate WEBP=libwebp)
  string(REPLACE = ";" name ${name})
  list(GET name 0 prefix)
  list(GET name 1 module)
  if(NOT TARGET PkgConfig::${prefix})
    pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${module})
  endif()
endforeach()]])
  set(ASMLP_PC_REQUIRES "spng libdeflate libwebp libtiff-4 libjpeg zlib yaml-0.1 fmt")
  set(ASMLP_PC_LIBS "-lasmlp -lstdc++ -lm -pthread")
endif()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/asmlp)
install(EXPORT asmlpTargets NAMESPACE asmlp:: DESTINATION ${package_folder} COMPONENT dev)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/asmlpConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/asmlpConfig.cmake
                              INSTALL_DESTINATION ${package_folder}
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/asmlpConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/asmlpConfig.cmake ${PROJECT_BINARY_DIR}/asmlpConfigVersion.cmake
        DESTINATION ${package_folder} COMPONENT dev)

# From the folder of asmlp.pc to the prefix.
file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file(${PROJECT_SOURCE_DIR}/cmake/asmlp.pc.in ${PROJECT_BINARY_DIR}/asmlp.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/asmlp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
if(PROJECT_IS_TOP_LEVEL)
  include(AsmlpPackages)
endif()
