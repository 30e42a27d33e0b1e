// Instruction sets: what the machine has and what the engine shall use.
#pragma once

#include <string>
#include <vector>

namespace asmlp {

// In order of preference, the last the best.
enum class Isa { kReference, kAvx2, kAvx512, kAvx512Bf16, kAvx512Amx };

// "reference", "avx2" (AVX2 and FMA), "avx512" (AVX-512 F, BW, DQ and VL), "avx512_bf16" (those and
// the bf16 dot product), "avx512_amx" (those and the bf16 tile products of AMX).
const char* to_string(Isa isa);

// ISAs this build has kernels for and this machine can run, best last; kReference is always there.
std::vector<Isa> available_isas();

// The best available ISA, or the one named by the environment variable ASMLP_ISA. Error
// (kInvalidArgument / kUnsupported) when that is no known name or cannot run here.
Isa default_isa();

// The numbers of a product: of its weights and of the rows it multiplies them with. Sums, the
// residual stream and all statistics are fp32 in both.
enum class Precision { kFp32, kBf16 };

const char* to_string(Precision precision);  // "fp32", "bf16"
// Error(kInvalidArgument) for any other name.
Precision parse_precision(const std::string& name);

// The processor's name as the operating system reports it.
std::string cpu_name();

}  // namespace asmlp
