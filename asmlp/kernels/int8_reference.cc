// The portable kernels of int8 and of what such a model does not quantize. The floating-point
// functions are those of all ISAs over a vector of plain floats; the products are plain loops.
#include <bit>
#include <cmath>

#include "asmlp/kernels/int8-inl.h"

namespace asmlp {
namespace {
namespace portable {

struct Vec {
  static constexpr int kLanes = 16;
  float lanes[kLanes];

  template <typename Lane>
  static Vec each(const Lane& lane) {
    Vec result;
    for (int i = 0; i < kLanes; ++i) result.lanes[i] = lane(i);
    return result;
  }
  static Vec load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static Vec load_partial(const float* p, int64_t n) {
    return each([&](int i) { return i < n ? p[i] : 0.0f; });
  }
  static Vec from_int32(const int32_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static Vec broadcast(float x) {
    return each([&](int) { return x; });
  }
  void store(float* p) const { store_partial(p, kLanes); }
  void store_partial(float* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static constexpr const auto& kGeluTable = kGeluTable8;
  static Vec lookup(const float (&row)[kLanes], const Vec& index) {
    return each([&](int i) { return row[std::bit_cast<uint32_t>(index.lanes[i]) % kLanes]; });
  }
  float sum() const {
    Vec v = *this;
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) v.lanes[i] += v.lanes[i + half];
    }
    return v.lanes[0];
  }
};

Vec operator+(const Vec& a, const Vec& b) {
  return Vec::each([&](int i) { return a.lanes[i] + b.lanes[i]; });
}
Vec operator-(const Vec& a, const Vec& b) {
  return Vec::each([&](int i) { return a.lanes[i] - b.lanes[i]; });
}
Vec operator*(const Vec& a, const Vec& b) {
  return Vec::each([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
Vec fma(const Vec& a, const Vec& b, const Vec& c) {
  return Vec::each([&](int i) { return std::fma(a.lanes[i], b.lanes[i], c.lanes[i]); });
}
Vec fnma(const Vec& a, const Vec& b, const Vec& c) {
  return Vec::each([&](int i) { return std::fma(-a.lanes[i], b.lanes[i], c.lanes[i]); });
}
Vec min(const Vec& limit, const Vec& x) {
  return Vec::each(
      [&](int i) { return limit.lanes[i] < x.lanes[i] ? limit.lanes[i] : x.lanes[i]; });
}
Vec max(const Vec& limit, const Vec& x) {
  return Vec::each(
      [&](int i) { return limit.lanes[i] > x.lanes[i] ? limit.lanes[i] : x.lanes[i]; });
}
Vec abs(const Vec& x) {
  return Vec::each([&](int i) { return std::fabs(x.lanes[i]); });
}
void keep(const Vec& v) {
  volatile float first = v.lanes[0];
  (void)first;
}

struct Panel {
  using Vec = portable::Vec;
  using Element = int8_t;
  static constexpr PanelElement kElement = PanelElement::kInt8;
  explicit Panel(const Quantization& quantization)
      : inverse(quantization.inverse_scale),
        zero(quantization.zero_point),
        low(static_cast<float>(-128 - zero)),
        high(static_cast<float>(127 - zero)) {}
  void store(const Vec& v, Element* p) const { store_partial(v, p, Vec::kLanes); }
  void store_partial(const Vec& v, Element* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) {
      float x = v.lanes[i] * inverse;
      x = x > low ? x : low;  // a NaN becomes `low`
      x = x < high ? x : high;
      p[i] = static_cast<Element>(static_cast<int>(std::nearbyint(x)) + zero);
    }
  }
  float inverse;
  int zero;
  float low, high;
};

constexpr int kRows = 4, kCols = 16;

// Of fp32, with the multiply-adds of the other ISAs.
template <int rows, bool transposed = false>
void tiles(const TileArgs& args, TileStart start) {
  const float* a = static_cast<const float*>(args.a);
  const float* b = static_cast<const float*>(args.b);
  float* c = args.c;
  const int64_t row_step = transposed ? 1 : args.lda, k_step = transposed ? args.lda : 1;
  for (int64_t r = 0; r < args.tiles * rows; ++r, a += row_step, c += args.ldc) {
    for (int j = 0; j < kCols; ++j) {
      float sum = start == TileStart::kBias ? args.bias[j] : c[j];
      if (start == TileStart::kBiasAccumulate) sum += args.bias[j];
      for (int64_t k = 0; k < args.depth; ++k) sum = std::fma(a[k * k_step], b[k * kCols + j], sum);
      c[j] = sum;
    }
  }
}

template <int rows>
void int8_tiles(const Int8TileArgs& args) {
  const int8_t* a = static_cast<const int8_t*>(args.a);
  const auto* b = reinterpret_cast<const int8_t*>(args.b);
  int32_t* sums = args.sums;
  for (int64_t r = 0; r < args.tiles * rows; ++r, a += args.lda, sums += kCols) {
    for (int j = 0; j < kCols; ++j) {
      int32_t sum = args.start != nullptr ? args.start[j] : sums[j];
      for (int64_t k = 0; k < args.depth; ++k) sum += a[k] * b[k * kCols + j];
      sums[j] = sum;
    }
  }
}

int64_t peak_loop(int64_t steps) {
  constexpr int kChains = 32;
  int32_t sums[kChains] = {};
  for (int64_t step = 0; step < steps; ++step) {
    for (int i = 0; i < kChains; ++i) sums[i] += static_cast<int8_t>(sums[i] + i) * i;
  }
  volatile int32_t keep = 0;
  for (int32_t sum : sums) keep = keep ^ sum;
  return steps * kChains * 2;
}

KernelSet make_base() {
  KernelSet set = int8_base_set<Vec>(reference_kernels(Precision::kFp32));
  set.tile_rows = kRows;
  set.tile_cols = kCols;
  set.tiles[1] = tiles<1>, set.tiles[2] = tiles<2>, set.tiles[3] = tiles<3>,
  set.tiles[4] = tiles<4>;
  set.transposed_tiles[1] = tiles<1, true>, set.transposed_tiles[2] = tiles<2, true>;
  set.transposed_tiles[3] = tiles<3, true>, set.transposed_tiles[4] = tiles<4, true>;
  return set;
}

Int8Kernels make_part(const KernelSet& base) {
  Int8Kernels part = int8_part<Panel, kCols>(/*depth_group=*/1, base);
  part.tiles[1] = int8_tiles<1>, part.tiles[2] = int8_tiles<2>;
  part.tiles[3] = int8_tiles<3>, part.tiles[4] = int8_tiles<4>;
  return part;
}

}  // namespace portable
}  // namespace

const KernelSet& reference_int8_kernels() {
  static const KernelSet kBase = portable::make_base();
  static const Int8Kernels kPart = portable::make_part(kBase);
  static const KernelSet kSet = int8_set<portable::Panel>(
      Isa::kReference, kPart, /*depth_step=*/1, portable::kRows, "int8 madd", portable::peak_loop);
  return kSet;
}

}  // namespace asmlp
