#include "asmlp/core/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "asmlp/core/error.h"

namespace asmlp {

namespace {

constexpr Isa kIsas[] = {Isa::kReference,  Isa::kNeon,     Isa::kNeonDot, Isa::kNeonMatrix,
                         Isa::kAvx2,       Isa::kAvx2Vnni, Isa::kAvx512,  Isa::kAvx512Vnni,
                         Isa::kAvx512Bf16, Isa::kAvx512Amx};
constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kBf16, Precision::kBf16x3,
                                     Precision::kInt8};

#if defined(__x86_64__)
// The tile registers of AMX are 8 kB that the kernel saves only for processes that asked for it
// (Linux 5.16 and later); the permission holds for all threads, once and for ever.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // asm/prctl.h, asm/fpu/types.h
  static const bool kPermitted = ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return kPermitted;
#else
  return false;
#endif
}

// Tiles with their bf16 and int8 products. __builtin_cpu_supports of clang 14 does not know the
// names. Whether the operating system saves the registers shows in may_use_tiles().
bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24, kInt8 = 1u << 25;  // CPUID leaf 7, EDX
  constexpr unsigned kAll = kBf16 | kTiles | kInt8;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAll) == kAll;
}

// The int8 dot product of AVX registers; GCC 12's __builtin_cpu_supports does not know the name.
bool has_avx_vnni() {
  constexpr unsigned kAvxVnni = 1u << 4;  // CPUID leaf 7, subleaf 1, EAX
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvxVnni) != 0;
}
#endif

#if defined(__aarch64__)
// What an ARM processor has besides Advanced SIMD, which every 64-bit one has.
struct ArmFeatures {
  bool dot = false;     // FEAT_DotProd
  bool matrix = false;  // FEAT_BF16 and FEAT_I8MM
};
ArmFeatures arm_features() {
#if defined(__linux__)
  constexpr unsigned long kDot = 1ul << 20;                      // AT_HWCAP, asm/hwcap.h
  constexpr unsigned long kInt8 = 1ul << 13, kBf16 = 1ul << 14;  // AT_HWCAP2
  const unsigned long first = ::getauxval(AT_HWCAP), second = ::getauxval(AT_HWCAP2);
  return {(first & kDot) != 0, (second & kInt8) != 0 && (second & kBf16) != 0};
#elif defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    size_t size = sizeof value;
    return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  return {has("hw.optional.arm.FEAT_DotProd"),
          has("hw.optional.arm.FEAT_BF16") && has("hw.optional.arm.FEAT_I8MM")};
#else
  return {};
#endif
}
#endif

// The compiler's runtime also asks the operating system whether it saves the registers.
bool runs_here(Isa isa) {
  if (isa == Isa::kReference) return true;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  switch (isa) {
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx2Vnni:
      return avx2 && has_avx_vnni();
    case Isa::kAvx512:
      return avx512;
    case Isa::kAvx512Vnni:
      return vnni;
    case Isa::kAvx512Bf16:
      return bf16;
    case Isa::kAvx512Amx:
      return bf16 && has_amx() && may_use_tiles();
    default:
      return false;
  }
#elif defined(__aarch64__)
  static const ArmFeatures features = arm_features();
  switch (isa) {
    case Isa::kNeon:
      return true;
    case Isa::kNeonDot:
      return features.dot;
    case Isa::kNeonMatrix:
      return features.dot && features.matrix;
    default:
      return false;
  }
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
    case Isa::kNeon:
      return "neon";
    case Isa::kNeonDot:
      return "neon_dot";
    case Isa::kNeonMatrix:
      return "neon_matrix";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx2Vnni:
      return "avx2_vnni";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Vnni:
      return "avx512_vnni";
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
    case Precision::kBf16x3:
      return "bf16x3";
    case Precision::kInt8:
      return "int8";
  }
  return "unknown";
}

std::span<const Precision> all_precisions() { return kPrecisions; }

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  for (Precision precision : kPrecisions) names.emplace_back(to_string(precision));
  return names;
}

Precision parse_precision(const std::string& name) {
  std::string known;
  for (Precision precision : kPrecisions) {
    if (name == to_string(precision)) return precision;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", to_string(precision));
  }
  fail(ErrorCode::kInvalidArgument, "precision '{}': unknown; use one of {}", name, known);
}

}  // namespace asmlp
