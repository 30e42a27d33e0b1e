# Warnings, sanitizers and the compiler cache, for every target of the project.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are only cached when ccache may ignore their time stamps. With paths relative
  # to the source folder, a second clone finds what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

add_compile_options(-Wall -Wextra)
if(ASMLP_WERROR)
  add_compile_options(-Werror)
endif()

# As a part of a project that is built without optimization (no build type, or Debug), the kernels would
# be a hundred times slower: here it is always optimized. To debug the library, build it by itself.
if(NOT PROJECT_IS_TOP_LEVEL AND NOT ASMLP_SANITIZE)
  add_compile_options($<$<OR:$<CONFIG:Debug>,$<CONFIG:>>:-O3>)
endif()

# A processor whose baseline has a fused multiply-add (ARM) would compute other bits than x86 where the
# compiler fuses: another image after resizing, say. The kernels say themselves what is fused.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-ffp-contract=off)
endif()

if(ASMLP_SANITIZE)
  add_compile_options(-fsanitize=${ASMLP_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ASMLP_SANITIZE})
  if(ASMLP_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
