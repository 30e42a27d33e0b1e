# Every library the project takes from the system (scripts/install_deps.sh has the packages).
# Imported targets of a static asmlp::asmlp must be known where a project that holds this one links it.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
set(ASMLP_FMT fmt::fmt)
find_package(nlohmann_json REQUIRED)
if(ASMLP_BUNDLE_DEPS)
  include(AsmlpBundle)
else()
  find_package(ZLIB REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(TIFF 4.5 REQUIRED)  # error handlers of one file
  pkg_check_modules(YAML REQUIRED IMPORTED_TARGET GLOBAL yaml-0.1)
  pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET GLOBAL spng)
  pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET GLOBAL libdeflate)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET GLOBAL libwebp)
  if(ASMLP_CLI OR ASMLP_TORCH OR ASMLP_TESTS)  # tar shards
    find_package(LibArchive REQUIRED)
  endif()
  if(ASMLP_CLI OR ASMLP_TORCH)  # charts of a training run
    pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET GLOBAL cairo)
  endif()
endif()
if(ASMLP_CLI)
  find_package(CLI11 REQUIRED)
endif()
if(ASMLP_ONNX AND ASMLP_CLI)
  # onnx_proto: the messages; onnx: the checker, for tests. The latter's CMake files name
  # protobuf::libprotobuf, which the first line makes.
  find_package(Protobuf REQUIRED)
  find_package(ONNX REQUIRED)
endif()
if(ASMLP_CLI AND ASMLP_SERVER)
  pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
endif()
if(ASMLP_TESTS)
  find_package(GTest REQUIRED)
endif()
if(ASMLP_TORCH)
  pkg_check_modules(NETTLE REQUIRED IMPORTED_TARGET nettle)  # HMAC-SHA256
  # OpenCV's resizing and colors, which the authors' detectors and segmentors see. Two modules are
  # enough; Debian's CMake files come with the package of all of them.
  find_path(ASMLP_OPENCV_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
  find_library(ASMLP_OPENCV_CORE opencv_core REQUIRED)
  find_library(ASMLP_OPENCV_IMGPROC opencv_imgproc REQUIRED)
  add_library(asmlp_opencv INTERFACE)
  target_include_directories(asmlp_opencv SYSTEM INTERFACE ${ASMLP_OPENCV_INCLUDE_DIR})
  target_link_libraries(asmlp_opencv INTERFACE ${ASMLP_OPENCV_IMGPROC} ${ASMLP_OPENCV_CORE})
  # LibTorch as one target, asmlp_libtorch. Debian's package and the upstream archives ship a
  # TorchConfig.cmake; that of PyPI's wheels for CUDA wants a CUDA compiler of its own version and all
  # of CUDA's libraries, when what a CPU needs of them is two libraries (docs/guide/libtorch.md).
  set(ASMLP_LIBTORCH_WHEEL "" CACHE PATH
      "Folder `torch` of an unpacked PyPI wheel, used without CUDA; empty: find_package(Torch)")
  add_library(asmlp_libtorch INTERFACE)
  if(ASMLP_LIBTORCH_WHEEL)
    set(TORCH_INCLUDE_DIRS ${ASMLP_LIBTORCH_WHEEL}/include
        ${ASMLP_LIBTORCH_WHEEL}/include/torch/csrc/api/include)
    set(TORCH_LIBRARIES ${ASMLP_LIBTORCH_WHEEL}/lib/libtorch_cpu.so
        ${ASMLP_LIBTORCH_WHEEL}/lib/libc10.so)
    set(TORCH_CXX_FLAGS "-DUSE_DISTRIBUTED -DUSE_C10D_GLOO")
    foreach(file IN LISTS TORCH_INCLUDE_DIRS TORCH_LIBRARIES)
      if(NOT EXISTS ${file})
        message(FATAL_ERROR "ASMLP_LIBTORCH_WHEEL: no ${file}; name the folder with include/ and lib/")
      endif()
    endforeach()
    # The wheel holds the headers of another fmt than the one that is linked: ours first.
    get_target_property(fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include_first)
    file(CREATE_LINK ${fmt_include}/fmt ${PROJECT_BINARY_DIR}/include_first/fmt SYMBOLIC)
    target_include_directories(asmlp_libtorch SYSTEM INTERFACE
                               ${PROJECT_BINARY_DIR}/include_first ${TORCH_INCLUDE_DIRS})
  else()
    find_package(Torch REQUIRED)
  endif()
  # at::parallel_for is a template of LibTorch's headers: without OpenMP here it runs on one thread.
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(asmlp_libtorch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
  separate_arguments(torch_flags NATIVE_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(asmlp_libtorch INTERFACE ${torch_flags})
  # LibTorch 1.13 mentions vectors of IValue before IValue is complete. Clang, which instantiates what is
  # constexpr in C++20 at once, needs that class first.
  target_compile_options(asmlp_libtorch INTERFACE
                         $<$<CXX_COMPILER_ID:Clang>:SHELL:-include ATen/core/ivalue.h>)
endif()
