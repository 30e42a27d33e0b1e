# Manual pages and shell completions: written by the program itself from the options it has, as they lie
# below share/ of an installation, so that they cannot say something else than it.
set(ASMLP_PAGES ${PROJECT_BINARY_DIR}/pages)
set(programs asmlp)
foreach(program asmlp-torch asmlp-serve)
  if(TARGET ${program})
    list(APPEND programs ${program})
  endif()
endforeach()
add_custom_command(
  OUTPUT ${ASMLP_PAGES}/stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${ASMLP_PAGES}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ASMLP_PAGES}
  # asmlp asks the programs that lie beside it for the options of their commands.
  COMMAND asmlp help --write ${ASMLP_PAGES}/share
  COMMAND ${CMAKE_COMMAND} -E touch ${ASMLP_PAGES}/stamp
  DEPENDS ${programs}
  COMMENT "Writing manual pages and completions"
  VERBATIM)
add_custom_target(asmlp_pages ALL DEPENDS ${ASMLP_PAGES}/stamp)
