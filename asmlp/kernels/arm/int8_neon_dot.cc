// Int8 with the dot product of bytes (FEAT_DotProd). This file alone is compiled with +dotprod.
//
// SDOT adds the products of four bytes to each sum. As in neon.cc, a row of A is one load for what
// four instructions per column select of it.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/int8-inl.h"
#include "asmlp/kernels/arm/neon_lane-inl.h"

namespace asmlp {
namespace neon_dot {
#include "asmlp/kernels/arm/neon_wide_vec.inc"

struct Dot {
  static constexpr int kGroup = 4, kLanes = 4;  // values of k per lane of A, lanes of a register
  using Panel = BytePanel;
  using A = int8x16_t;
  static A load_a(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }
  using B = int8x16_t;
  static constexpr int kBBytes = 16;  // of four columns
  static void load_b(const std::byte* p, B (&b)[4]) {
    const auto* bytes = reinterpret_cast<const int8_t*>(p);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) b[j] = vld1q_s8(bytes + 16 * j);
  }
  template <int lane>
  [[gnu::always_inline]] static void add(int32x4_t (&sums)[4], const B (&b)[4], A a) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = vdotq_laneq_s32(sums[j], b[j], a, lane);
  }
};

}  // namespace neon_dot

// 5 x 16: 20 sums, 4 registers of B and 5 of A. For 16 values of k, 21 loads feed 80 instructions
// of 16 multiply-adds.
const KernelSet& neon_dot_int8_kernels() {
  using namespace neon_dot;
  static const Int8Kernels kPart =
      neon_lane_part<Dot, 1, 2, 3, 4, 5>(*neon_int8_kernels().int8->base);
  static const KernelSet kSet =
      int8_set<BytePanel>(Isa::kNeonDot, kPart, Dot::kGroup * Dot::kLanes, /*tile_rows=*/5,
                          "int8 dot", neon_lane_peak_loop<Dot>);
  return kSet;
}

}  // namespace asmlp

#endif
