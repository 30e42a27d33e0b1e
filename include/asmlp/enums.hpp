// What a model is for, and what it computes with.
#pragma once

#include "asmlp/export.h"

namespace asmlp {

enum class Task { kClassify, kDetect, kSegment };

// What is done with a picture's EXIF orientation: its pixels are turned upright, as people and
// OpenCV see them, or taken as they are stored, as the usual ImageNet evaluation does.
enum class Exif { kApply, kIgnore };

// The numbers of a product: of its weights and of the rows it multiplies them with. Sums, the
// residual stream and all statistics are fp32 in both.
enum class Precision { kFp32, kBf16 };

// Instruction sets in order of preference, the last the best.
enum class Isa {
  kAuto,  // the one that the environment variable ASMLP_ISA names, else the best of the machine
  kReference,   // portable, on every machine
  kAvx2,        // AVX2 and FMA
  kAvx512,      // AVX-512 F, BW, DQ and VL
  kAvx512Bf16,  // those and the bf16 dot product
  kAvx512Amx,   // those and the bf16 tile products of AMX
};

ASMLP_API const char* to_string(Task task);            // "classify", "detect", "segment"
ASMLP_API const char* to_string(Precision precision);  // "fp32", "bf16"
// "auto", "reference", "avx2", "avx512", "avx512_bf16", "avx512_amx".
ASMLP_API const char* to_string(Isa isa);

}  // namespace asmlp
