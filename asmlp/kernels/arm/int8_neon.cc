// Int8 on ARM processors without a dot product of bytes.
//
// A holds 16-bit integers, and bytes of B are widened when they are loaded. SMLAL multiplies 16-bit
// integers and adds to 32-bit ones, four at a time: as many as the multiply-add of fp32. Int8 saves
// memory here, not time. (Products of bytes in 16-bit sums, SMLAL and SADALP, need three
// instructions for 16 products, a third less, and four times the sums: they do not fit into the
// registers.)
#if defined(__aarch64__)

#include <arm_neon.h>

#include "asmlp/kernels/int8-inl.h"
#include "asmlp/kernels/arm/neon_lane-inl.h"

namespace asmlp {
namespace neon {
namespace int8 {
#include "asmlp/kernels/arm/neon_wide_vec.inc"

struct WordPanel : Rounding {
  using Vec = int8::Vec;
  using Element = int16_t;
  static constexpr PanelElement kElement = PanelElement::kInt16;
  using Rounding::Rounding;
  void store(const Vec& v, Element* p) const {
    vst1q_s16(p, round(v.part[0], v.part[1]));
    vst1q_s16(p + 8, round(v.part[2], v.part[3]));
  }
  void store_partial(const Vec& v, Element* p, int64_t n) const {
    Element values[Vec::kLanes];
    store(v, values);
    for (int64_t i = 0; i < n; ++i) p[i] = values[i];
  }
};

struct Dot {
  static constexpr int kGroup = 1, kLanes = 8;
  using Panel = WordPanel;
  using A = int16x8_t;
  static A load_a(const void* p) { return vld1q_s16(static_cast<const int16_t*>(p)); }
  using B = int16x4_t;
  static constexpr int kBBytes = 4;  // of four columns
  static void load_b(const std::byte* p, B (&b)[4]) {
    const int8x16_t bytes = vld1q_s8(reinterpret_cast<const int8_t*>(p));
    const int16x8_t left = vmovl_s8(vget_low_s8(bytes)), right = vmovl_high_s8(bytes);
    b[0] = vget_low_s16(left), b[1] = vget_high_s16(left);
    b[2] = vget_low_s16(right), b[3] = vget_high_s16(right);
  }
  template <int lane>
  [[gnu::always_inline]] static void add(int32x4_t (&sums)[4], const B (&b)[4], A a) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = vmlal_laneq_s16(sums[j], b[j], a, lane);
  }
};

}  // namespace int8
}  // namespace neon

// 5 x 16, as neon.cc.
const KernelSet& neon_int8_kernels() {
  using namespace neon::int8;
  static const KernelSet kBase = int8_base_set<Vec>(neon_kernels(Precision::kFp32));
  static const Int8Kernels kPart = neon_lane_part<Dot, 1, 2, 3, 4, 5>(kBase);
  static const KernelSet kSet =
      int8_set<WordPanel>(Isa::kNeon, kPart, Dot::kGroup * Dot::kLanes, /*tile_rows=*/5,
                          "int8 multiply-add", neon_lane_peak_loop<Dot>);
  return kSet;
}

}  // namespace asmlp

#endif
