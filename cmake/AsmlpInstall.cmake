# What `cmake --install BUILD --prefix P` puts under P: the library and its headers, the commands that
# were built with their manual pages and completions, the bundled models where the command looks for
# them, the recipes, the guides, the license, and what makes find_package(asmlp) and pkg-config find it
# all. Nothing in it knows P: the tree can be moved.
include(CMakePackageConfigHelpers)

install(TARGETS asmlp_shared EXPORT asmlpTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/asmlp/models
        FILES_MATCHING PATTERN "*.safetensors")
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/guide DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET asmlp)
  install(TARGETS asmlp RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/asmlp)
  if(NOT ASMLP_SANITIZE)  # whose programs would not run without its settings
    include(AsmlpPages)
    install(DIRECTORY ${ASMLP_PAGES}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR})
  endif()
endif()
if(TARGET asmlp-serve)
  install(TARGETS asmlp-serve RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET asmlp-torch)
  # A LibTorch outside of the system's folders is still found after the installation.
  set_target_properties(asmlp-torch PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS asmlp-torch RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/asmlp)
install(EXPORT asmlpTargets NAMESPACE asmlp:: DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/asmlpConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/asmlpConfig.cmake
                              INSTALL_DESTINATION ${package_folder}
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/asmlpConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/asmlpConfig.cmake ${PROJECT_BINARY_DIR}/asmlpConfigVersion.cmake
        DESTINATION ${package_folder})

# From the folder of asmlp.pc to the prefix.
file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file(${PROJECT_SOURCE_DIR}/cmake/asmlp.pc.in ${PROJECT_BINARY_DIR}/asmlp.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/asmlp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
