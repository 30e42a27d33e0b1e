// Instruction sets: what the machine has and what the engine shall use.
#pragma once

#include <string>
#include <vector>

namespace asmlp {

// In order of preference, the last the best.
enum class Isa { kReference, kAvx2 };

const char* to_string(Isa isa);  // "reference", "avx2"

// ISAs this build has kernels for and this machine can run, best last; kReference is always there.
std::vector<Isa> available_isas();

// The best available ISA, or the one named by the environment variable ASMLP_ISA. Error
// (kInvalidArgument / kUnsupported) when that is no known name or cannot run here.
Isa default_isa();

// The processor's name as the operating system reports it.
std::string cpu_name();

}  // namespace asmlp
