# 64-bit ARM from another machine, with Debian's cross compiler and the arm64 packages that
# scripts/install_deps.sh --aarch64 unpacks. Programs of the build run under qemu; QEMU_CPU in the
# environment chooses the processor ("max" if unset has everything that qemu knows).
set(sysroot ${CMAKE_CURRENT_LIST_DIR}/../../build-aarch64-sysroot)
get_filename_component(sysroot ${sysroot} ABSOLUTE)
if(NOT EXISTS ${sysroot}/packages)
  message(FATAL_ERROR "${sysroot} is missing or incomplete: run scripts/install_deps.sh --aarch64")
endif()

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT ${sysroot})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:${sysroot}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${sysroot})
