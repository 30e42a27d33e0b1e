#include "asmlp/torch/segment/pixel_loss_kernel.h"

#include <algorithm>
#include <cmath>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::segment {
namespace {

using Line = std::vector<float>;

// Taps turned around: position j of the narrow axis is the sum of `count` wide ones from first[j]
// on, weights[i * narrow + j] of the i-th.
struct TapSources {
  int64_t count = 0;
  std::vector<int32_t> first;
  Line weights;

  TapSources(const Taps& taps, int64_t narrow) : first(static_cast<size_t>(narrow)) {
    const auto wide = static_cast<int32_t>(taps.low.size());
    std::vector<int32_t> last(first.size(), 0);
    std::ranges::fill(first, wide);
    const auto visit = [&](const auto& add) {
      for (int32_t x = 0; x < wide; ++x) {
        const auto i = static_cast<size_t>(x);
        add(static_cast<size_t>(taps.low[i]), x, 1 - taps.part[i]);
        add(static_cast<size_t>(taps.high[i]), x, taps.part[i]);
      }
    };
    visit([&](size_t j, int32_t x, float) {
      first[j] = std::min(first[j], x);
      last[j] = std::max(last[j], x + 1);
    });
    for (size_t j = 0; j < first.size(); ++j) {
      count = std::max<int64_t>(count, last[j] - std::min(first[j], last[j]));
    }
    // So that `count` positions follow each first one.
    for (int32_t& x : first) x = std::max(0, std::min(x, static_cast<int32_t>(wide - count)));
    weights.assign(static_cast<size_t>(count) * first.size(), 0.0f);
    visit([&](size_t j, int32_t x, float weight) {
      weights[static_cast<size_t>(x - first[j]) * first.size() + j] += weight;
    });
  }
};

// The loss of one row of labels after the other. Memory for one row: all of it stays in the cache.
class RowLoss {
 public:
  explicit RowLoss(const PixelLossImage& image)
      : image_(image),
        classes_(image.classes),
        width_(image.width),
        pixels_(std::ssize(image.columns.low)),
        sources_(image.columns, width_),
        line_(static_cast<size_t>(classes_ * width_)),
        values_(static_cast<size_t>(classes_ * pixels_)),
        largest_(static_cast<size_t>(pixels_)),
        own_(largest_),
        sums_(largest_),
        factors_(largest_) {}

  // Adds row y to `sums`.
  void add(int64_t y, PixelSums& sums) {
    blend_rows(y);
    widen();
    if (!take_own(y, sums)) return;
    exponentiate();
    const uint8_t* labels = image_.labels + y * pixels_;
    for (int64_t x = 0; x < pixels_; ++x) {
      if (labels[x] == image_.ignored) continue;
      const auto i = static_cast<size_t>(x);
      sums.loss += weight(labels[x]) * (std::log(double(sums_[i])) + (largest_[i] - own_[i]));
      sums.right += own_[i] == largest_[i];
      ++sums.counted;
    }
  }

  // After add(y): the gradient of what it added, to the rows of `d_logits` (classes x rows x width)
  // whose first is row `first` of the logits.
  void add_gradient(int64_t y, float* d_logits, int64_t first, int64_t rows) {
    to_gradients(y);
    narrow();
    const auto row = static_cast<size_t>(y);
    const int64_t low = image_.rows.low[row] - first, high = image_.rows.high[row] - first;
    const float part = image_.rows.part[row];
    const float* line = line_.data();
    run_vectorized([this, d_logits, low, high, rows, part, line]() ASMLP_INLINE {
      for (int64_t k = 0; k < classes_; ++k) {
        float *above = d_logits + (k * rows + low) * width_,
              *below = d_logits + (k * rows + high) * width_;
        const float* in = line + k * width_;
#pragma GCC ivdep
        for (int64_t j = 0; j < width_; ++j) above[j] += (1 - part) * in[j];
#pragma GCC ivdep
        for (int64_t j = 0; j < width_; ++j) below[j] += part * in[j];
      }
    });
  }

 private:
  float weight(int label) const { return image_.weights == nullptr ? 1 : image_.weights[label]; }

  // line_ = the two rows of logits, blended: classes x width.
  void blend_rows(int64_t y) {
    const auto row = static_cast<size_t>(y);
    const int64_t low = image_.rows.low[row], high = image_.rows.high[row];
    const float part = image_.rows.part[row];
    float* line = line_.data();
    run_vectorized([this, low, high, part, line]() ASMLP_INLINE {
      for (int64_t k = 0; k < classes_; ++k) {
        const float* plane = image_.logits + k * image_.height * width_;
        const float *above = plane + low * width_, *below = plane + high * width_;
        float* out = line + k * width_;
#pragma GCC ivdep
        for (int64_t j = 0; j < width_; ++j) out[j] = above[j] + part * (below[j] - above[j]);
      }
    });
  }

  // values_ = the logits of the row's pixels: classes x pixels; largest_ = each pixel's largest.
  void widen() {
    const int32_t *low = image_.columns.low.data(), *high = image_.columns.high.data();
    const float *part = image_.columns.part.data(), *line = line_.data();
    float *values = values_.data(), *largest = largest_.data();
    run_vectorized([this, low, high, part, line, values, largest]() ASMLP_INLINE {
      for (int64_t k = 0; k < classes_; ++k) {
        const float* in = line + k * width_;
        float* out = values + k * pixels_;
#pragma GCC ivdep
        for (int64_t x = 0; x < pixels_; ++x) {
          out[x] = in[low[x]] + part[x] * (in[high[x]] - in[low[x]]);
        }
      }
      for (int64_t x = 0; x < pixels_; ++x) largest[x] = values[x];
      for (int64_t k = 1; k < classes_; ++k) {
        const float* in = values + k * pixels_;
#pragma GCC ivdep
        for (int64_t x = 0; x < pixels_; ++x) largest[x] = in[x] > largest[x] ? in[x] : largest[x];
      }
    });
  }

  // own_ = the logit of each pixel's label. False when a label is no class.
  bool take_own(int64_t y, PixelSums& sums) {
    const uint8_t* labels = image_.labels + y * pixels_;
    for (int64_t x = 0; x < pixels_; ++x) {
      if (labels[x] == image_.ignored) continue;
      if (labels[x] >= classes_) sums.wrong = labels[x];
      if (sums.wrong >= 0) return false;
      own_[static_cast<size_t>(x)] = values_[static_cast<size_t>(labels[x] * pixels_ + x)];
    }
    return true;
  }

  // values_ = exp(logit - largest), sums_ = their sum over the classes.
  void exponentiate() {
    float *values = values_.data(), *sums = sums_.data();
    const float* largest = largest_.data();
    run_vectorized([this, values, sums, largest]() ASMLP_INLINE {
      for (int64_t x = 0; x < pixels_; ++x) sums[x] = 0;
      for (int64_t k = 0; k < classes_; ++k) {
        float* out = values + k * pixels_;
#pragma GCC ivdep
        for (int64_t x = 0; x < pixels_; ++x) {
          const float value = exp_negative(out[x] - largest[x]);
          out[x] = value;
          sums[x] += value;
        }
      }
    });
  }

  // values_ = weight * (probability - 1 for the label's class), 0 for ignored pixels.
  void to_gradients(int64_t y) {
    const uint8_t* labels = image_.labels + y * pixels_;
    for (int64_t x = 0; x < pixels_; ++x) {
      const auto i = static_cast<size_t>(x);
      factors_[i] = labels[x] == image_.ignored ? 0 : weight(labels[x]) / sums_[i];
    }
    float* values = values_.data();
    const float* factors = factors_.data();
    run_vectorized([this, values, factors]() ASMLP_INLINE {
      for (int64_t k = 0; k < classes_; ++k) {
        float* out = values + k * pixels_;
#pragma GCC ivdep
        for (int64_t x = 0; x < pixels_; ++x) out[x] *= factors[x];
      }
    });
    for (int64_t x = 0; x < pixels_; ++x) {
      if (labels[x] == image_.ignored) continue;
      values_[static_cast<size_t>(labels[x] * pixels_ + x)] -= weight(labels[x]);
    }
  }

  // The adjoint of widen(): line_ = what values_ make of the blended row.
  void narrow() {
    const int32_t* first = sources_.first.data();
    const float *weights = sources_.weights.data(), *values = values_.data();
    float* line = line_.data();
    run_vectorized([this, first, weights, values, line]() ASMLP_INLINE {
      for (int64_t k = 0; k < classes_; ++k) {
        float* out = line + k * width_;
        const float* in = values + k * pixels_;
        for (int64_t j = 0; j < width_; ++j) out[j] = 0;
        for (int64_t i = 0; i < sources_.count; ++i) {
          const float* weight = weights + i * width_;
#pragma GCC ivdep
          for (int64_t j = 0; j < width_; ++j) out[j] += weight[j] * in[first[j] + i];
        }
      }
    });
  }

  const PixelLossImage& image_;
  int64_t classes_, width_, pixels_;
  TapSources sources_;
  Line line_, values_, largest_, own_, sums_, factors_;
};

}  // namespace

Taps::Taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const auto first = static_cast<int32_t>(std::min<int64_t>(static_cast<int64_t>(at), in - 1));
    low.push_back(first);
    high.push_back(static_cast<int32_t>(std::min<int64_t>(first + 1, in - 1)));
    part.push_back(static_cast<float>(at - first));
  }
}

PixelSums pixel_loss_of_rows(const PixelLossImage& image, int64_t begin, int64_t end,
                             float* d_logits) {
  PixelSums sums;
  RowLoss row(image);
  const int64_t first = image.rows.low[static_cast<size_t>(begin)];
  const int64_t rows = image.rows.high[static_cast<size_t>(end - 1)] + 1 - first;
  for (int64_t y = begin; y < end && sums.wrong < 0; ++y) {
    row.add(y, sums);
    if (d_logits != nullptr && sums.wrong < 0) row.add_gradient(y, d_logits, first, rows);
  }
  return sums;
}

}  // namespace asmlp::segment
