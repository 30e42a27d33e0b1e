#include "asmlp/core/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "asmlp/core/error.h"

namespace asmlp {

const char* to_string(Isa isa) { return isa == Isa::kAvx2 ? "avx2" : "reference"; }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::kReference};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isas.push_back(Isa::kAvx2);
#endif
  return isas;
}

Isa default_isa() {
  const std::vector<Isa> available = available_isas();
  const char* forced = std::getenv("ASMLP_ISA");
  if (forced == nullptr || *forced == '\0') return available.back();
  for (Isa isa : {Isa::kReference, Isa::kAvx2}) {
    if (std::string(forced) != to_string(isa)) continue;
    require(std::find(available.begin(), available.end(), isa) != available.end(),
            ErrorCode::kUnsupported,
            "ASMLP_ISA={}: this processor cannot run it; unset the variable", forced);
    return isa;
  }
  fail(ErrorCode::kInvalidArgument, "ASMLP_ISA={}: unknown; use reference or avx2, or unset it",
       forced);
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace asmlp
