// How this program was built: part of every measurement that is published.
#pragma once

#include <string>

namespace asmlp {

struct BuildInfo {
  std::string version;   // of the project
  std::string compiler;  // "GCC 12.2.0"
  std::string type;      // CMake's build type
  std::string commit;    // `git rev-parse --short HEAD` when CMake ran, "unknown" outside git
};
BuildInfo build_info();

}  // namespace asmlp
