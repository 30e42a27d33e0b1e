#include "asmlp/torch/ops/conv/neighbors.h"

#include <algorithm>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::nn {

template <typename T>
const T* neighbors(const ConvMap& map, const T* x, const RowSet& rows, int64_t begin, int64_t end,
                   int64_t first, int64_t last, std::vector<T>& buffer) {
  const int64_t channels = map.channels, reach = map.kernel / 2, across = map.kernel * channels;
  if (map.kernel == 1 && rows.list == nullptr) return x + begin * channels;
  const int64_t depth = (last - first) * across;
  const auto size = static_cast<size_t>((end - begin) * depth);
  if (buffer.size() < size) buffer.resize(size);
  T* const to = buffer.data();
  run_vectorized([=]() ASMLP_INLINE {
    int64_t at = begin;
    while (at < end) {
      // Pixels that follow each other in one line of the image, so many of them.
      const int64_t row = rows[at];
      const int64_t px = row % map.width, line = row / map.width, py = line % map.height;
      int64_t count = std::min(map.width - px, end - at);
      if (rows.list != nullptr) {
        int64_t next = 1;
        while (next < count && rows[at + next] == row + next) ++next;
        count = next;
      }
      for (int64_t i = first; i < last; ++i) {
        T* out = to + (at - begin) * depth + (i - first) * across;
        const int64_t sy = py + i - reach;
        if (sy < 0 || sy >= map.height) {
          for (int64_t p = 0; p < count; ++p) std::fill_n(out + p * depth, across, T(0));
          continue;
        }
        const T* source = x + (line + i - reach) * map.width * channels;
        for (int64_t p = 0; p < count; ++p, out += depth) {
          const int64_t left = px + p - reach, right = left + map.kernel;
          const int64_t from = std::max<int64_t>(left, 0);
          const int64_t to_x = std::min(right, map.width);
          const T* in = source + from * channels;
          T* copy = out + (from - left) * channels;
          const int64_t values = (to_x - from) * channels;
          if (from > left) std::fill(out, copy, T(0));
#pragma GCC ivdep
          for (int64_t c = 0; c < values; ++c) copy[c] = in[c];
          if (to_x < right) std::fill(copy + values, out + across, T(0));
        }
      }
      at += count;
    }
  });
  return to;
}

template <typename T>
void relu(T* x, int64_t count) {
  run_vectorized([=]() ASMLP_INLINE {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? T(0) : x[i];
  });
}

template <typename T>
void relu_backward(const T* y, const T* dy, T* dz, int64_t rows, int64_t channels,
                   uint8_t* active) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t row = 0; row < rows; ++row) {
      const T* gradient = dy + row * channels;
      int32_t found = 0;
      if (y != nullptr) {
        const T* out = y + row * channels;
        T* to = dz + row * channels;
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const T value = out[c] <= 0 ? T(0) : gradient[c];
          to[c] = value;
          found |= value != 0 ? 1 : 0;
        }
      } else {
        for (int64_t c = 0; c < channels; ++c) found |= gradient[c] != 0 ? 1 : 0;
      }
      active[row] = static_cast<uint8_t>(found);
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                                \
  template const T* neighbors<T>(const ConvMap&, const T*, const RowSet&, int64_t, int64_t, \
                                 int64_t, int64_t, std::vector<T>&);                        \
  template void relu<T>(T*, int64_t);                                                       \
  template void relu_backward<T>(const T*, const T*, T*, int64_t, int64_t, uint8_t*);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)
#undef ASMLP_INSTANTIATE

}  // namespace asmlp::nn
