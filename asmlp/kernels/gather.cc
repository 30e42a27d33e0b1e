#include "asmlp/kernels/gather.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "asmlp/core/aligned.h"

namespace asmlp {
namespace {

// Copies n elements in whole blocks: the surplus is overwritten by the next group or row.
template <typename T>
inline void copy_blocks(const T* source, T* out, int n) {
  constexpr int kBlock = kGatherSlack / sizeof(T);
  for (int i = 0; i < n; i += kBlock) std::memcpy(out + i, source + i, kGatherSlack);
}

// A block of one value.
template <typename T>
struct Filling {
  explicit Filling(T value) { std::fill_n(values, kBlock, value); }
  void fill(T* out, int n) const {
    for (int i = 0; i < n; i += kBlock) std::memcpy(out + i, values, kGatherSlack);
  }
  static constexpr int kBlock = kGatherSlack / sizeof(T);
  T values[kBlock];
};

void* at(void* panel, int64_t element, int64_t size) {
  return static_cast<std::byte*>(panel) + element * size;
}

// A product reads padded_depth elements; the surplus must not be what happened to lie there.
void zero_tails(void* a, int64_t lda, int64_t rows, int64_t depth, int64_t padded_depth,
                int64_t size) {
  if (depth == padded_depth) return;
  for (int64_t r = 0; r < rows; ++r) {
    std::memset(at(a, r * lda + depth, size), 0, (padded_depth - depth) * size);
  }
}

}  // namespace

template <typename T>
void gather_shifted(const MapView<T>& map, const ShiftTable& table, Axis axis, int64_t begin,
                    int64_t rows, T* a, int64_t lda, int64_t padded_depth, T zero) {
  const Filling<T> outside(zero);
  T* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int x = static_cast<int>(r % map.w);
    const int y = static_cast<int>(r / map.w % map.h);
    const int position = axis == Axis::kW ? x : y;
    const int64_t step = axis == Axis::kW ? map.stride : map.stride * map.w;
    const T* pixel = map.row(r);
    const int* source = table.source.data() + position;
    for (const ShiftTable::Group& group : table.groups) {
      const int count = group.end - group.begin;
      if (*source < 0) {
        outside.fill(a + group.begin, count);
      } else {
        copy_blocks(pixel + (*source - position) * step + group.begin, a + group.begin, count);
      }
      source += table.extent;
    }
  }
  zero_tails(first, lda, rows, map.channels, padded_depth, sizeof(T));
}
template void gather_shifted(const MapView<float>&, const ShiftTable&, Axis, int64_t, int64_t,
                             float*, int64_t, int64_t, float);
template void gather_shifted(const MapView<uint16_t>&, const ShiftTable&, Axis, int64_t, int64_t,
                             uint16_t*, int64_t, int64_t, uint16_t);
template void gather_shifted(const MapView<uint8_t>&, const ShiftTable&, Axis, int64_t, int64_t,
                             uint8_t*, int64_t, int64_t, uint8_t);

int64_t fold_scratch(int64_t channels) { return 2 * round_up(channels, 16); }

NormArgs fold(const PanelFormat& format, const MapNorm& norm, int64_t image, int64_t channels) {
  float *scale = norm.scratch, *shift = scale + fold_scratch(channels) / 2;
  format.kernels.fold_norm(norm.images[image], norm.gamma, norm.beta, channels, scale, shift);
  return {scale, shift, format.quantization};
}

void gather_normalized(const PanelFormat& format, const MapView<float>& map, const MapNorm& norm,
                       int64_t begin, int64_t rows, void* a, int64_t lda, int64_t padded_depth) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  for (int64_t r = begin, end = begin + rows; r < end;) {
    const int64_t image = r / map.pixels();
    const int64_t count = std::min(end, (image + 1) * map.pixels()) - r;
    kernels.normalize_panel(
        {map.row(r), map.stride, at(a, (r - begin) * lda, size), lda, count, map.channels},
        fold(format, norm, image, map.channels));
    r += count;
  }
  zero_tails(a, lda, rows, map.channels, padded_depth, size);
}

void gather_converted(const PanelFormat& format, const MapView<float>& map, int64_t begin,
                      int64_t rows, void* a, int64_t lda, int64_t padded_depth) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  void* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    kernels.convert_panel(map.row(r), a, map.channels, format.quantization);
  }
  zero_tails(first, lda, rows, map.channels, padded_depth, size);
}

void gather_merged(const PanelFormat& format, const MapView<float>& map, const MapNorm& norm,
                   int64_t begin, int64_t rows, void* a, int64_t lda, int64_t padded_depth,
                   const float* zeros) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  const int64_t out_w = (map.w + 1) / 2, out_h = (map.h + 1) / 2, channels = map.channels;
  int64_t folded_image = -1;
  NormArgs folded{};
  // The pixels of one line at a time.
  for (int64_t r = begin, end = begin + rows; r < end;) {
    const int64_t image = r / (out_h * out_w), y = r / out_w % out_h * 2, x = r % out_w;
    const int64_t count = std::min(end - r, out_w - x);
    if (image != folded_image) folded = fold(format, norm, image, 4 * channels);
    folded_image = image;
    for (int quarter = 0; quarter < 4; ++quarter) {
      const int64_t line = y + quarter % 2, right = quarter / 2, offset = quarter * channels;
      const int64_t inside = line < map.h ? std::min(count, (map.w + 1 - right) / 2 - x) : 0;
      const NormArgs args{folded.scale + offset, folded.shift + offset, folded.quantization};
      const auto row = [&](int64_t i) { return at(a, (r - begin + i) * lda + offset, size); };
      if (inside > 0) {
        const float* pixel = map.row((image * map.h + line) * map.w + 2 * x + right);
        kernels.normalize_panel({pixel, 2 * map.stride, row(0), lda, inside, channels}, args);
      }
      if (inside < count) {
        kernels.normalize_panel({zeros, 0, row(inside), lda, count - inside, channels}, args);
      }
    }
    r += count;
  }
  zero_tails(a, lda, rows, 4 * channels, padded_depth, size);
}

namespace {

// What stands for zero in a panel, `n` times.
void fill_zero(const PanelFormat& format, void* out, int64_t n) {
  const PanelElement element = format.kernels.element;
  const int32_t zero =
      format.kernels.int8 != nullptr ? panel_zero(element, format.quantization) : 0;
  if (element == PanelElement::kInt16) {
    std::fill_n(static_cast<int16_t*>(out), n, static_cast<int16_t>(zero));
  } else {
    std::memset(out, zero, n * size_of(element));
  }
}

}  // namespace

void gather_neighbors(const PanelFormat& format, const MapView<float>& map, int kernel,
                      int64_t begin, int64_t rows, int64_t depth_begin, int64_t depth_end, void* a,
                      int64_t lda, int64_t padded_depth) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element), channels = map.channels;
  const bool dense = map.stride == channels;
  void* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const int64_t pixel = r % map.pixels(), y = pixel / map.w, x = pixel % map.w;
    for (int64_t k = depth_begin; k < depth_end;) {
      const int64_t tap = k / channels, channel = k % channels, column = tap % kernel;
      const int64_t down = tap / kernel - kernel / 2, right = column - kernel / 2;
      const bool inside = y + down >= 0 && y + down < map.h && x + right >= 0 && x + right < map.w;
      // Taps side by side in the map are copied together.
      const int64_t taps = inside && dense ? std::min(kernel - column, map.w - (x + right)) : 1;
      const int64_t count = std::min(taps * channels - channel, depth_end - k);
      void* out = at(a, k - depth_begin, size);
      if (inside) {
        const float* source = map.row(r + down * map.w + right) + channel;
        kernels.convert_panel(source, out, count, format.quantization);
      } else {
        fill_zero(format, out, count);
      }
      k += count;
    }
  }
  zero_tails(first, lda, rows, depth_end - depth_begin, padded_depth, size);
}

template <typename T>
void gather_halved(const MapView<T>& map, int64_t begin, int64_t rows, T* a, int64_t lda,
                   int64_t padded_depth, T zero) {
  const int64_t channels = map.channels, out_h = (map.h + 1) / 2, out_w = (map.w + 1) / 2;
  const bool dense = map.stride == channels;
  T* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a += lda) {
    const int64_t image = r / (out_h * out_w), x = 2 * (r % out_w) - 1;
    const int64_t y = 2 * (r / out_w % out_h) - 1;
    T* out = a;
    for (int64_t i = y; i < y + 3; ++i) {
      const bool line = i >= 0 && i < map.h;
      for (int64_t j = x; j < x + 3;) {
        // Pixels side by side in the map are copied together.
        const bool inside = line && j >= 0 && j < map.w;
        const int64_t pixels = inside && dense ? std::min<int64_t>(x + 3, map.w) - j : 1;
        if (inside) {
          std::copy_n(map.row((image * map.h + i) * map.w + j), pixels * channels, out);
        } else {
          std::fill_n(out, channels, zero);
        }
        out += pixels * channels;
        j += pixels;
      }
    }
  }
  zero_tails(first, lda, rows, 9 * channels, padded_depth, sizeof(T));
}
template void gather_halved(const MapView<float>&, int64_t, int64_t, float*, int64_t, int64_t,
                            float);
template void gather_halved(const MapView<uint16_t>&, int64_t, int64_t, uint16_t*, int64_t, int64_t,
                            uint16_t);
template void gather_halved(const MapView<uint8_t>&, int64_t, int64_t, uint8_t*, int64_t, int64_t,
                            uint8_t);

namespace {

// The patch x patch pixels of one channel at `source`, whose rows are `width` floats apart, as far
// as they lie inside of the image.
void copy_patch(const float* source, int64_t width, int64_t rows, int64_t columns, int patch,
                float* out) {
  constexpr int kUsual = 4;  // a copy of a size that the compiler knows is one instruction
  if (patch == kUsual && rows == kUsual && columns == kUsual) {
    for (int y = 0; y < kUsual; ++y) {
      std::memcpy(out + y * kUsual, source + y * width, kUsual * sizeof(float));
    }
    return;
  }
  for (int64_t y = 0; y < patch; ++y, source += width, out += patch) {
    const int64_t inside = y < rows ? columns : 0;
    if (inside > 0) std::copy_n(source, inside, out);
    std::fill_n(out + inside, patch - inside, 0.0f);
  }
}

}  // namespace

void gather_patches(const PanelFormat& format, const InputView& input, int64_t begin, int64_t rows,
                    void* a, int64_t lda, int64_t padded_depth, float* line) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element);
  const int patch = input.patch;
  const int64_t depth = int64_t{input.channels} * patch * patch;
  const int64_t out_w = (input.width + patch - 1) / patch;
  const int64_t out_h = (input.height + patch - 1) / patch;
  const int64_t plane = int64_t{input.height} * input.width;
  void* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const int64_t image = r / (out_h * out_w);
    const int64_t y = r / out_w % out_h * patch, x = r % out_w * patch;
    const float* source = input.data + image * input.channels * plane + y * input.width + x;
    // Loads that are wider than the stores before them wait, so a conversion is left out if it can.
    float* out = kernels.element == PanelElement::kF32 ? static_cast<float*>(a) : line;
    for (int c = 0; c < input.channels; ++c) {
      copy_patch(source + c * plane, input.width, std::min<int64_t>(patch, input.height - y),
                 std::min<int64_t>(patch, input.width - x), patch, out + c * patch * patch);
    }
    if (out == line) kernels.convert_panel(line, a, depth, format.quantization);
  }
  zero_tails(first, lda, rows, depth, padded_depth, size);
}

void gather_image_halved(const PanelFormat& format, const InputView& input, int64_t begin,
                         int64_t rows, void* a, int64_t lda, int64_t padded_depth, float* line) {
  const KernelSet& kernels = format.kernels;
  const int64_t size = size_of(kernels.element), depth = int64_t{input.channels} * 9;
  const int64_t out_h = (input.height + 1) / 2, out_w = (input.width + 1) / 2;
  const int64_t plane = int64_t{input.height} * input.width;
  void* const first = a;
  for (int64_t r = begin; r < begin + rows; ++r, a = at(a, lda, size)) {
    const int64_t image = r / (out_h * out_w);
    const int64_t y = 2 * (r / out_w % out_h) - 1, x = 2 * (r % out_w) - 1;
    const bool within = y >= 0 && x >= 0 && y + 3 <= input.height && x + 3 <= input.width;
    float* const row = kernels.element == PanelElement::kF32 ? static_cast<float*>(a) : line;
    float* out = row;
    for (int c = 0; c < input.channels; ++c) {
      const float* source = input.data + (image * input.channels + c) * plane;
      for (int64_t i = y; i < y + 3; ++i, out += 3) {
        if (within) {
          std::memcpy(out, source + i * input.width + x, 3 * sizeof(float));
          continue;
        }
        for (int64_t j = 0; j < 3; ++j) {
          const bool inside = i >= 0 && i < input.height && x + j >= 0 && x + j < input.width;
          out[j] = inside ? source[i * input.width + x + j] : 0.0f;
        }
      }
    }
    if (row == line) kernels.convert_panel(line, a, depth, format.quantization);
  }
  zero_tails(first, lda, rows, depth, padded_depth, size);
}

}  // namespace asmlp
