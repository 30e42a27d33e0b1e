# asmlp_unity(TARGET): with ASMLP_UNITY, compile its sources several at a time, so that heavy headers
# (LibTorch: 20 s, CLI11: 15 s, GoogleTest: 5 s) cost once per group. Names that are local to a file must
# then be unique in its room. A source with compiler flags of its own stays alone.
function(asmlp_unity TARGET)
  set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ${ASMLP_UNITY} UNITY_BUILD_BATCH_SIZE 12)
  if(ASMLP_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A type that is local to a file is taken for one of a header that is included.
    target_compile_options(${TARGET} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# asmlp_layer(NAME [DEPENDS layer...] [LIBRARIES target...] [PRIVATE_LIBRARIES target...])
#
# A folder is a layer: every *.cc in it (and below) becomes the library asmlp_NAME, every *_test.cc
# the test program asmlp_NAME_test, whose cases ctest knows one by one.
function(asmlp_layer NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "DEPENDS;LIBRARIES;PRIVATE_LIBRARIES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_main)\\.cc$")

  add_library(asmlp_${NAME} STATIC ${sources})
  target_include_directories(asmlp_${NAME} PUBLIC ${PROJECT_SOURCE_DIR}
                             ${PROJECT_SOURCE_DIR}/include)
  list(TRANSFORM ARG_DEPENDS PREPEND asmlp_)
  target_link_libraries(asmlp_${NAME} PUBLIC ${ARG_DEPENDS} ${ARG_LIBRARIES}
                        PRIVATE ${ARG_PRIVATE_LIBRARIES})
  if(ASMLP_TESTS AND tests)
    asmlp_test(${NAME} SOURCES ${tests} LIBRARIES asmlp_${NAME})
  endif()
endfunction()

# asmlp_closure(TARGET LAYERS LIBRARIES): the layers that a layer rests on, with itself, and the libraries
# that these link (headers alone left out). Layers are static libraries, of which one library is made.
function(asmlp_closure TARGET LAYERS LIBRARIES)
  set(waiting ${TARGET})
  set(layers)
  set(libraries)
  while(waiting)
    list(POP_FRONT waiting layer)
    if(layer IN_LIST layers)
      continue()
    endif()
    list(APPEND layers ${layer})
    get_target_property(linked ${layer} LINK_LIBRARIES)
    foreach(library IN LISTS linked)
      if(library MATCHES "^asmlp_")
        list(APPEND waiting ${library})
      elseif(NOT library MATCHES "nlohmann_json|header-only")
        list(APPEND libraries ${library})
      endif()
    endforeach()
  endwhile()
  list(REMOVE_DUPLICATES libraries)
  set(${LAYERS} ${layers} PARENT_SCOPE)
  set(${LIBRARIES} ${libraries} PARENT_SCOPE)
endfunction()

# Test programs whose numbers come from the kernels that ASMLP_ISA chooses. Their tests are labeled
# `isa`, and scripts/test.sh repeats them for every instruction set of the machine. (Of the LibTorch
# path the choice concerns a few loops only; its tests are left out for their time.)
set(ASMLP_ISA_TESTS kernels image segmentation engine cli parity system_cli system_isa)

# asmlp_test(NAME SOURCES file... LIBRARIES target... [TIMEOUT seconds])
# The GoogleTest program asmlp_NAME_test. Tests may use files of tests/data and the helpers of
# tests/support/.
if(ASMLP_TESTS)
  add_library(asmlp_source_folder STATIC ${PROJECT_SOURCE_DIR}/tests/support/source_folder.cc)
  target_compile_definitions(asmlp_source_folder PRIVATE ASMLP_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
endif()
function(asmlp_test NAME)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "TIMEOUT" "SOURCES;LIBRARIES")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(ASMLP_SANITIZE OR CMAKE_CROSSCOMPILING)  # the latter's tests are emulated
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 4")
  endif()
  set(target asmlp_${NAME}_test)
  set(suite_failures ${PROJECT_SOURCE_DIR}/tests/support/suite_failures.cc)
  set_source_files_properties(${suite_failures} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_executable(${target} ${ARG_SOURCES} ${suite_failures})
  asmlp_unity(${target})  # every test file has a namespace of its own
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} GTest::gtest GTest::gmock
                        GTest::gtest_main asmlp_source_folder)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  if(ASMLP_SANITIZE MATCHES "address")
    set(environment ENVIRONMENT LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/lsan.supp)
  endif()
  if(NAME IN_LIST ASMLP_ISA_TESTS)
    set(labels LABELS isa)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${target} TEST_PREFIX "${NAME}." DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} ${environment} ${labels})
endfunction()
