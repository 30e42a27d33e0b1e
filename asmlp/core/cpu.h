// The processor: its instruction sets, which of them the engine shall use, its name and cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/enums.hpp"  // Isa, Precision

namespace asmlp {

// ISAs this build has kernels for and this machine can run, best last; kReference is always there,
// kAuto never.
std::vector<Isa> available_isas();

// The best available ISA, or the one named by the environment variable ASMLP_ISA ("" and "auto" are
// the best). Error (kInvalidArgument / kUnsupported) when that is no known name or cannot run here.
Isa default_isa();

// default_isa() for kAuto, another ISA as it is. Error(kUnsupported) when it cannot run here,
// listing what can.
Isa usable_isa(Isa isa);

// The ISA of that name; default_isa() for "" and "auto". `where` is where the name was said, e.g.
// "--isa". Error (kInvalidArgument / kUnsupported) when it is not known or cannot run here, listing
// what can.
Isa parse_isa(const std::string& name, const std::string& where);

// Every Precision, in the order of its values: the one list that options, messages, and tables go
// by.
std::span<const Precision> all_precisions();

// Their names in that order.
std::vector<std::string> precision_names();

// The precision of that name; Error(kInvalidArgument) for another, listing the names.
Precision parse_precision(const std::string& name);

// The processor's name as the operating system reports it; of ARM's that of the kinds of cores, and
// the board where it is known: "Cortex-A76 (Raspberry Pi 5 Model B Rev 1.0)".
std::string cpu_name();
// The same of the text of a /proc/cpuinfo, on a board of that name ("": not known).
std::string cpu_name_in(const std::string& cpuinfo, std::string board);

// Bytes of the second-level cache that one core can count on: its own, or its part of one that
// several cores share. 0 when the system does not say.
int64_t l2_cache_bytes();
// The same of a folder like /sys/devices/system/cpu/cpu0/cache.
int64_t l2_cache_bytes_in(const std::filesystem::path& folder);

// What the operating system lists of the processor's features and this project has kernels for or
// might ("avx2", "avx512_bf16", "amx_tile"; on ARM "asimd", "i8mm"), in its order and spelling.
std::vector<std::string> cpu_features();

}  // namespace asmlp
