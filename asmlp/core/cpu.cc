#include "asmlp/core/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "asmlp/core/error.h"

namespace asmlp {

namespace {

constexpr Isa kIsas[] = {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16,
                         Isa::kAvx512Amx};

// The tile registers of AMX are 8 kB that the kernel saves only for processes that asked for it
// (Linux 5.16 and later); the permission holds for all threads, once and for ever.
bool may_use_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // asm/prctl.h, asm/fpu/types.h
  static const bool kPermitted = ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return kPermitted;
#else
  return false;
#endif
}

// Tiles and their bf16 product. __builtin_cpu_supports of clang 14 knows neither name. Whether the
// operating system saves the registers shows in may_use_tiles().
[[maybe_unused]] bool has_amx_bf16() {
#if defined(__x86_64__)
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24;  // CPUID leaf 7, EDX
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kBf16) != 0 &&
         (edx & kTiles) != 0;
#else
  return false;
#endif
}

// The compiler's runtime also asks the operating system whether it saves the registers.
bool runs_here(Isa isa) {
  if (isa == Isa::kReference) return true;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (isa == Isa::kAvx2) return avx2;
  if (isa == Isa::kAvx512) return avx512;
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (isa == Isa::kAvx512Bf16) return bf16;
  return bf16 && has_amx_bf16() && may_use_tiles();
#else
  return false;
#endif
}

std::string available_names() {
  std::string names;
  for (Isa isa : available_isas())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(isa));
  return names;
}

// A name that is not "" or "auto". `said` is the name where it was said: "--isa mmx".
Isa named(const std::string& name, const std::string& said) {
  for (Isa isa : kIsas) {
    if (name != to_string(isa)) continue;
    if (runs_here(isa)) return isa;
    fail(ErrorCode::kUnsupported, "{}: this processor cannot run it; available here: {}", said,
         available_names());
  }
  fail(ErrorCode::kInvalidArgument, "{}: unknown; available here: {}", said, available_names());
}

bool is_auto(const std::string& name) { return name.empty() || name == to_string(Isa::kAuto); }

}  // namespace

const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::kAuto:
      return "auto";
    case Isa::kReference:
      return "reference";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512_bf16";
    case Isa::kAvx512Amx:
      return "avx512_amx";
  }
  return "unknown";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  std::copy_if(std::begin(kIsas), std::end(kIsas), std::back_inserter(isas), runs_here);
  return isas;
}

Isa default_isa() {
  const char* variable = std::getenv("ASMLP_ISA");
  const std::string forced = variable != nullptr ? variable : "";
  return is_auto(forced) ? available_isas().back() : named(forced, "ASMLP_ISA=" + forced);
}

Isa usable_isa(Isa isa) {
  if (isa == Isa::kAuto) return default_isa();
  if (runs_here(isa)) return isa;
  fail(ErrorCode::kUnsupported,
       "this processor cannot run the instruction set {}; available here: {}", to_string(isa),
       available_names());
}

Isa parse_isa(const std::string& name, const std::string& where) {
  return is_auto(name) ? default_isa() : named(name, where + " " + name);
}

const char* to_string(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
  }
  return "unknown";
}

Precision parse_precision(const std::string& name) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    if (name == to_string(precision)) return precision;
  }
  fail(ErrorCode::kInvalidArgument, "precision '{}': unknown; use fp32 or bf16", name);
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
