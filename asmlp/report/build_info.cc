#include "asmlp/report/build_info.h"

namespace asmlp {

BuildInfo build_info() {
#if defined(__clang__)
  const std::string compiler = "Clang " __clang_version__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return {ASMLP_VERSION, compiler, ASMLP_BUILD_TYPE, ASMLP_COMMIT};
}

}  // namespace asmlp
