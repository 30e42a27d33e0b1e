# What makes an overlooked fault in a parser harder to exploit, for every program and library of the
# project; tests/system/hardening_test.cc reads it off the files. Sanitizers have their own checks and
# FORTIFY hides from them; it needs an optimizing build, too.
if(ASMLP_HARDENING AND NOT ASMLP_SANITIZE)
  include(CheckCXXCompilerFlag)
  include(CheckLinkerFlag)
  include(CheckPIESupported)
  check_pie_supported(LANGUAGES CXX)
  if(CMAKE_BUILD_TYPE MATCHES "Rel")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  # Control flow protection (CET on x86, BTI and PAC on ARM) is in the property of a file only when every
  # object in it has it. Debian 12's crti.o has not, so the linker is told; _init and _fini, which come
  # from there, are reached by calls of the loader that no released C library guards.
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
               -mbranch-protection=standard)
    string(MAKE_C_IDENTIFIER "ASMLP_HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
  foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,ibt -Wl,-z,shstk)
    if(flag MATCHES "ibt|shstk" AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
      continue()
    endif()
    string(MAKE_C_IDENTIFIER "ASMLP_LINKS${flag}" known)
    check_linker_flag(CXX ${flag} ${known})
    if(${known})
      add_link_options(${flag})
    endif()
  endforeach()
endif()
