// What a model is for, and what it computes with.
#pragma once

#include "asmlp/export.h"

namespace asmlp {

enum class Task { kClassify, kDetect, kSegment };

// What is done with a picture's EXIF orientation: its pixels are turned upright, as people and
// OpenCV see them, or taken as they are stored, as the usual ImageNet evaluation does.
enum class Exif { kApply, kIgnore };

// Whose pixels a file is decoded to where libraries differ (16 bits, CMYK, 16-bit BMP, TIFF): those
// of Pillow's convert("RGB"), which classifiers are trained with, or of OpenCV's
// imread(IMREAD_COLOR), which the authors' detectors and segmentors are trained with.
enum class PixelStyle { kPillow, kOpenCv };

// The numbers of a product: of its weights and of the rows it multiplies them with. Sums, the
// residual stream and all statistics are fp32 in each.
enum class Precision {
  kFp32,
  kBf16,
  kBf16x3,  // each fp32 number as the sum of two bf16 parts, three products of them on tile units;
            // fp32 where the processor has none
  kInt8,    // weights and rows as 8-bit integers, in the layers that a quantized file has so
            // (`asmlp quantize`); the others are fp32
};

// Instruction sets in order of preference, the last the best.
enum class Isa {
  kAuto,  // the one that the environment variable ASMLP_ISA names, else the best of the machine
  kReference,   // portable, on every machine
  kNeon,        // ARM: Advanced SIMD of every 64-bit processor
  kNeonDot,     // and the int8 dot product (Armv8.2)
  kNeonMatrix,  // and the bf16 and int8 matrix products (BF16, I8MM; Armv8.6)
  kAvx2,        // x86: AVX2 and FMA
  kAvx2Vnni,    // and the int8 dot product on AVX registers (AVX-VNNI)
  kAvx512,      // AVX-512 F, BW, DQ and VL
  kAvx512Vnni,  // and the int8 dot product
  kAvx512Bf16,  // and the bf16 dot product
  kAvx512Amx,   // and the bf16 and int8 tile products of AMX
};

ASMLP_API const char* to_string(Task task);            // "classify", "detect", "segment"
ASMLP_API const char* to_string(Precision precision);  // "fp32", "bf16", "bf16x3", "int8"
// "auto", "reference", "neon", "neon_dot", "neon_matrix", "avx2", "avx2_vnni", "avx512",
// "avx512_vnni", "avx512_bf16", "avx512_amx".
ASMLP_API const char* to_string(Isa isa);

}  // namespace asmlp
