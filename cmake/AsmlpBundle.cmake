# ASMLP_BUNDLE_DEPS: the targets of AsmlpDependencies.cmake as archives, so that one libasmlp.so, one asmlp,
# and one Python module run on every system whose C and C++ libraries are new enough. Debian has libspng as a
# shared library only: where there is no archive of it, a copy lies beside what needs it (ASMLP_SPNG_FILE).
# Shared libraries take this in, too.
set(ASMLP_BUNDLE_SOURCES ${PROJECT_SOURCE_DIR}/cmake/bundle_symbols.cc)
# Without what nothing reaches: of libarchive, that is every format but tar, with the libraries that these need.
add_link_options(-Wl,--gc-sections)

# asmlp_archive(TARGET NAME... [INCLUDE HEADER]): an imported target of lib<NAME>.a, which exist for each.
function(asmlp_archive TARGET)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "INCLUDE" "")
  set(files)
  foreach(name IN LISTS ARG_UNPARSED_ARGUMENTS)
    string(MAKE_C_IDENTIFIER "ASMLP_ARCHIVE_${name}" found)
    find_library(${found} NAMES lib${name}.a REQUIRED)
    list(APPEND files ${${found}})
  endforeach()
  add_library(${TARGET} INTERFACE IMPORTED GLOBAL)
  # A group, because some of them need each other.
  target_link_libraries(${TARGET} INTERFACE -Wl,--start-group ${files} -Wl,--end-group ${CMAKE_DL_LIBS} Threads::Threads)
  if(ARG_INCLUDE)
    string(MAKE_C_IDENTIFIER "ASMLP_INCLUDE_${ARG_INCLUDE}" found)
    find_path(${found} ${ARG_INCLUDE} PATH_SUFFIXES cairo REQUIRED)
    target_include_directories(${TARGET} SYSTEM INTERFACE ${${found}})
  endif()
endfunction()

pkg_check_modules(TIFF REQUIRED QUIET libtiff-4>=4.5)  # error handlers of one file
asmlp_archive(PkgConfig::YAML yaml INCLUDE yaml.h)
asmlp_archive(ZLIB::ZLIB z INCLUDE zlib.h)
asmlp_archive(JPEG::JPEG jpeg INCLUDE jpeglib.h)
asmlp_archive(PkgConfig::DEFLATE deflate INCLUDE libdeflate.h)
asmlp_archive(PkgConfig::WEBP webp INCLUDE webp/decode.h)
asmlp_archive(TIFF::TIFF tiff webp jbig zstd lzma jpeg deflate z INCLUDE tiffio.h)
if(ASMLP_CLI OR ASMLP_TORCH OR ASMLP_TESTS)
  asmlp_archive(LibArchive::LibArchive archive z INCLUDE archive.h)
endif()
if(ASMLP_CLI OR ASMLP_TORCH)
  asmlp_archive(PkgConfig::CAIRO cairo pixman-1 fontconfig freetype png16 expat brotlidec brotlicommon
                xcb-shm xcb-render xcb Xrender X11 Xext Xau Xdmcp z INCLUDE cairo.h)
endif()

if(fmt_VERSION MATCHES "^9\\.")
  add_library(asmlp_fmt STATIC ${PROJECT_SOURCE_DIR}/cmake/bundle_fmt.cc)
  get_target_property(include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  target_include_directories(asmlp_fmt SYSTEM PUBLIC ${include})
  # As for the shared library, so that a compiler cache knows the objects of the other kinds of builds.
  target_compile_definitions(asmlp_fmt PUBLIC FMT_SHARED)
  target_link_libraries(asmlp_fmt PUBLIC Threads::Threads)
  set(ASMLP_FMT asmlp_fmt)
else()
  set(ASMLP_FMT fmt::fmt-header-only)
endif()

find_library(ASMLP_SPNG_ARCHIVE NAMES libspng.a libspng_static.a)
if(ASMLP_SPNG_ARCHIVE)
  asmlp_archive(PkgConfig::SPNG spng z INCLUDE spng.h)
else()
  pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET GLOBAL spng)
  get_filename_component(ASMLP_SPNG_FILE "${SPNG_LINK_LIBRARIES}" REALPATH)
endif()
