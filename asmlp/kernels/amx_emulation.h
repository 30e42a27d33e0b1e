// The tile instructions of AMX (bf16 and int8) in portable C++: each function does what Intel's
// manual says of its namesake. A use that a processor answers with an exception ends the program:
// a register without a shape, factors whose shapes do not fit, one register used twice.
// Out of line, because kernels call them in many places.
// Included by the emulated build of the tests (avx512_emulation.h) and by tools/emulate_x86.py.
#pragma once

#include <cstdint>
#include <cstring>

namespace asmlp::emulated {

struct TileShape {
  int rows = 0, row_bytes = 0;
};

struct TileState {
  bool configured = false;
  TileShape shapes[8];
  alignas(64) unsigned char data[8][16][64];
};

inline TileState& tile_state() {
  thread_local TileState state{};
  return state;
}

inline void tiles_require(bool condition) {
  if (!condition) __builtin_trap();
}

inline TileShape shape_of(int tile) {
  const TileState& state = tile_state();
  tiles_require(state.configured && tile >= 0 && tile < 8 && state.shapes[tile].rows > 0);
  return state.shapes[tile];
}

[[gnu::noinline]] inline void tile_release() { tile_state() = TileState{}; }

[[gnu::noinline]] inline void tile_loadconfig(const void* memory) {
  unsigned char bytes[64];
  std::memcpy(bytes, memory, sizeof bytes);
  tile_release();
  TileState& state = tile_state();
  if (bytes[0] == 0) return;
  tiles_require(bytes[0] == 1 && bytes[1] == 0);  // the one palette; no interrupted load
  state.configured = true;
  for (int i = 0; i < 16; ++i) {
    uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof row_bytes);
    const int rows = bytes[48 + i];
    tiles_require(i < 8 ? rows <= 16 && row_bytes <= 64 && (rows == 0) == (row_bytes == 0)
                        : rows == 0 && row_bytes == 0);
    if (i < 8) state.shapes[i] = {rows, row_bytes};
  }
  for (int i = 2; i < 16; ++i) tiles_require(bytes[i] == 0);
}

[[gnu::noinline]] inline void tile_zero(int tile) {
  shape_of(tile);
  std::memset(tile_state().data[tile], 0, sizeof tile_state().data[tile]);
}

[[gnu::noinline]] inline void tile_load(int tile, const void* memory, int64_t stride) {
  const TileShape shape = shape_of(tile);
  tile_zero(tile);
  for (int r = 0; r < shape.rows; ++r) {
    std::memcpy(tile_state().data[tile][r], static_cast<const char*>(memory) + r * stride,
                shape.row_bytes);
  }
}

[[gnu::noinline]] inline void tile_store(int tile, void* memory, int64_t stride) {
  const TileShape shape = shape_of(tile);
  for (int r = 0; r < shape.rows; ++r) {
    std::memcpy(static_cast<char*>(memory) + r * stride, tile_state().data[tile][r],
                shape.row_bytes);
  }
}

// The shapes of a product: rows of C, 32-bit words of the depth, 32-bit columns of C.
struct TileProduct {
  int rows, depth, cols;
};
inline TileProduct product_of(int c, int a, int b) {
  tiles_require(c != a && c != b && a != b);
  const TileShape sum = shape_of(c), left = shape_of(a), right = shape_of(b);
  tiles_require(sum.rows == left.rows && sum.row_bytes == right.row_bytes &&
                left.row_bytes == 4 * right.rows && sum.row_bytes % 4 == 0);
  return {sum.rows, right.rows, sum.row_bytes / 4};
}

template <typename To>
inline To tile_word(int tile, int row, int column) {
  To value;
  std::memcpy(&value, tile_state().data[tile][row] + column * sizeof value, sizeof value);
  return value;
}
template <typename To>
inline void set_tile_word(int tile, int row, int column, To value) {
  std::memcpy(tile_state().data[tile][row] + column * sizeof value, &value, sizeof value);
}

// Numbers below the normal range count as zero.
inline float tile_flush(float x) { return x < 0x1p-126f && x > -0x1p-126f ? 0.0f : x; }
inline float tile_widen(uint32_t high_half) {
  float value;
  std::memcpy(&value, &high_half, sizeof value);
  return tile_flush(value);
}

// C += A B: the even and the odd values of k are summed apart, from zero, in ascending order, each
// step rounded once. The product of two bf16 values is exact in fp32 (but for results below
// 2^-133), so that multiplying and adding is what the fused instruction does.
[[gnu::noinline]] inline void tile_dpbf16ps(int c, int a, int b) {
  const TileProduct product = product_of(c, a, b);
  float even_b[16][16], odd_b[16][16];
  for (int k = 0; k < product.depth; ++k) {
    for (int j = 0; j < product.cols; ++j) {
      const auto pair = tile_word<uint32_t>(b, k, j);
      even_b[k][j] = tile_widen(pair << 16), odd_b[k][j] = tile_widen(pair & 0xffff0000u);
    }
  }
  for (int r = 0; r < product.rows; ++r) {
    float even[16] = {}, odd[16] = {};
    for (int k = 0; k < product.depth; ++k) {
      const auto pair = tile_word<uint32_t>(a, r, k);
      const float even_a = tile_widen(pair << 16), odd_a = tile_widen(pair & 0xffff0000u);
      for (int j = 0; j < product.cols; ++j) {
        even[j] = tile_flush(even[j] + even_a * even_b[k][j]);
        odd[j] = tile_flush(odd[j] + odd_a * odd_b[k][j]);
      }
    }
    for (int j = 0; j < product.cols; ++j) {
      const float sum = tile_flush(even[j] + odd[j]);
      set_tile_word(c, r, j, tile_flush(tile_flush(tile_word<float>(c, r, j)) + sum));
    }
  }
}

// C += A B in int32, which wraps; A and B are four bytes of the depth per word, int8_t or uint8_t.
template <typename A, typename B>
[[gnu::noinline]] inline void tile_dpb(int c, int a, int b) {
  const TileProduct product = product_of(c, a, b);
  for (int r = 0; r < product.rows; ++r) {
    for (int j = 0; j < product.cols; ++j) {
      auto sum = tile_word<uint32_t>(c, r, j);
      for (int k = 0; k < 4 * product.depth; ++k) {
        const int value = tile_word<A>(a, r, k) * tile_word<B>(b, k / 4, 4 * j + k % 4);
        sum += static_cast<uint32_t>(value);
      }
      set_tile_word(c, r, j, sum);
    }
  }
}

}  // namespace asmlp::emulated

#if defined(ASMLP_EMULATE_AVX512)
static inline void _tile_loadconfig(const void* memory) {
  asmlp::emulated::tile_loadconfig(memory);
}
static inline void _tile_release() { asmlp::emulated::tile_release(); }
static inline void _tile_zero(int tile) { asmlp::emulated::tile_zero(tile); }
static inline void _tile_loadd(int tile, const void* memory, int64_t stride) {
  asmlp::emulated::tile_load(tile, memory, stride);
}
static inline void _tile_stream_loadd(int tile, const void* memory, int64_t stride) {
  asmlp::emulated::tile_load(tile, memory, stride);
}
static inline void _tile_stored(int tile, void* memory, int64_t stride) {
  asmlp::emulated::tile_store(tile, memory, stride);
}
static inline void _tile_dpbf16ps(int c, int a, int b) { asmlp::emulated::tile_dpbf16ps(c, a, b); }
static inline void _tile_dpbssd(int c, int a, int b) {
  asmlp::emulated::tile_dpb<int8_t, int8_t>(c, a, b);
}
static inline void _tile_dpbsud(int c, int a, int b) {
  asmlp::emulated::tile_dpb<int8_t, uint8_t>(c, a, b);
}
static inline void _tile_dpbusd(int c, int a, int b) {
  asmlp::emulated::tile_dpb<uint8_t, int8_t>(c, a, b);
}
static inline void _tile_dpbuud(int c, int a, int b) {
  asmlp::emulated::tile_dpb<uint8_t, uint8_t>(c, a, b);
}
#endif
