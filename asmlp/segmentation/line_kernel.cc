#include "asmlp/segmentation/line_kernel.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::segment {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

template <int bytes>
struct Vectors {
  using Floats [[gnu::vector_size(bytes)]] = float;
  using Ints [[gnu::vector_size(bytes)]] = int32_t;
};

struct Largest {
  float value;
  int index;
};

// The first of the largest of `count` values that are numbers; index 0 where there are none. (The
// compiler does not vectorize the search for a place by itself.)
template <int bytes>
ASMLP_INLINE inline Largest largest_of(const float* values, int count) {
  using Floats = typename Vectors<bytes>::Floats;
  using Ints = typename Vectors<bytes>::Ints;
  constexpr int kLanes = bytes / 4;
  Floats best = {};
  Ints place = {}, next = {};
  best += kLowest;
  for (int lane = 0; lane < kLanes; ++lane) next[lane] = lane;
  int first = 0;
  for (; first + kLanes <= count; first += kLanes, next += kLanes) {
    Floats value;
    std::memcpy(&value, values + first, bytes);
    const Ints better = value > best;
    best = better ? value : best;
    place = better ? next : place;
  }
  float rest[kLanes];
  int32_t places[kLanes];
  std::memcpy(rest, &best, bytes);
  std::memcpy(places, &place, bytes);
  for (int lane = 0; first + lane < count; ++lane) {
    if (!(values[first + lane] > rest[lane])) continue;
    rest[lane] = values[first + lane];
    places[lane] = first + lane;
  }
  Largest largest{rest[0], places[0]};
  for (int lane = 1; lane < kLanes; ++lane) {
    const bool better =
        rest[lane] > largest.value || (rest[lane] == largest.value && places[lane] < largest.index);
    largest.value = better ? rest[lane] : largest.value;
    largest.index = better ? places[lane] : largest.index;
  }
  return largest;
}

// out = the weighted sum of `terms` arrays, added up in their order.
ASMLP_INLINE inline void weighted_sum(const float* const* from, const float* weights, int terms,
                                      int count, float* __restrict out) {
  const float *a = from[0], *b = from[terms > 1 ? 1 : 0], *c = from[terms > 2 ? 2 : 0];
  const float u = weights[0], v = weights[terms > 1 ? 1 : 0], w = weights[terms > 2 ? 2 : 0];
  if (terms == 1) {
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) out[i] = u * a[i];
  } else if (terms == 2) {
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) out[i] = u * a[i] + v * b[i];
  } else {
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) out[i] = u * a[i] + v * b[i] + w * c[i];
  }
  for (int term = 3; term < terms; ++term) {
    const float* more = from[term];
    const float weight = weights[term];
#pragma GCC ivdep
    for (int i = 0; i < count; ++i) out[i] += weight * more[i];
  }
}

// sum += softmax(logits); overwrites the logits. What is not a number counts as very small.
template <int bytes>
ASMLP_INLINE inline void add_probabilities(float* __restrict logits, int count,
                                           float* __restrict sum) {
  const float largest = largest_of<bytes>(logits, count).value;
  if (largest == kLowest) return;
#pragma GCC ivdep
  for (int i = 0; i < count; ++i) {
    const float x = logits[i] - largest;
    logits[i] = exp_negative(x > -87.0f ? x : -87.0f);
  }
  using Floats = typename Vectors<bytes>::Floats;
  Floats totals = {};
  int first = 0;
  for (; first + bytes / 4 <= count; first += bytes / 4) {
    Floats value;
    std::memcpy(&value, logits + first, bytes);
    totals += value;
  }
  float total = 0;
  for (int lane = 0; lane < bytes / 4; ++lane) total += totals[lane];
  for (; first < count; ++first) total += logits[first];
  const float scale = 1 / total;
#pragma GCC ivdep
  for (int i = 0; i < count; ++i) sum[i] += scale * logits[i];
}

}  // namespace

void label_cells(const float* values, int64_t stride, int64_t cells, int classes, uint8_t* labels) {
  run_vectorized([=]<int bytes>(VectorBytes<bytes>) ASMLP_INLINE {
    for (int64_t i = 0; i < cells; ++i) {
      labels[i] = static_cast<uint8_t>(largest_of<bytes>(values + i * stride, classes).index);
    }
  });
}

LineLabeler::LineLabeler(int classes, int width)
    : classes_(classes),
      width_(width),
      logits_(static_cast<size_t>(classes)),
      probabilities_(static_cast<size_t>(classes)) {}

void LineLabeler::label(std::span<const ViewLine> views, int first, int end, uint8_t* out) {
  blended_.resize(views.size());
  for (size_t i = 0; i < views.size(); ++i) compare(views[i], first, end, blended_[i]);
  undecided_.clear();
  for (int x = first; x < end; ++x) {
    int label = -1;
    for (size_t i = 0; i < views.size(); ++i) {
      const AxisTaps& taps = *views[i].columns;
      const size_t at = pixel(views[i], x);
      const uint8_t* labels = blended_[i].labels.data();
      for (int32_t k = taps.begin[at]; k < taps.begin[at + 1]; ++k) {
        const uint8_t own = labels[taps.index[static_cast<size_t>(k)] - blended_[i].first];
        label = label < 0 || label == own ? own : kUndecided;
      }
    }
    out[x] = static_cast<uint8_t>(label);
    if (label == kUndecided) undecided_.push_back(x);
  }
  if (!undecided_.empty()) compute(views, out);
}

// All is an average with weights that are not negative: where one class is the largest in all that
// a pixel depends on, it is the largest there.
void LineLabeler::compare(const ViewLine& view, int first, int end, Blended& blended) const {
  const size_t low = pixel(view, view.mirrored ? end - 1 : first);
  const size_t high = pixel(view, view.mirrored ? first : end - 1);
  const auto& taps = *view.columns;
  const int first_window = taps.index[static_cast<size_t>(taps.begin[low])] / view.cells;
  const int last_window = taps.index[static_cast<size_t>(taps.begin[high + 1]) - 1] / view.cells;
  blended.first = first_window * view.cells;
  const size_t cells =
      static_cast<size_t>(last_window + 1 - first_window) * static_cast<size_t>(view.cells);
  blended.labels.resize(cells);
  uint8_t* labels = blended.labels.data();
  for (int window = first_window; window <= last_window; ++window, labels += view.cells) {
    const uint8_t* const* parts = view.labels.data() + window;
    std::copy_n(parts[0], view.cells, labels);
    for (int line = 1; line < view.lines; ++line) {
      const uint8_t* other = parts[line * view.windows];
      for (int32_t i = 0; i < view.cells; ++i) {
        labels[i] = labels[i] == other[i] ? labels[i] : kUndecided;
      }
    }
  }
  blended.ready.assign(cells, 0);
  const size_t needed = cells * static_cast<size_t>(classes_);
  if (needed <= blended.size) return;
  blended.values = std::make_unique_for_overwrite<float[]>(needed);
  blended.size = needed;
}

void LineLabeler::compute(std::span<const ViewLine> views, uint8_t* out) {
  int most = 0;
  for (const ViewLine& view : views) {
    most = std::max(most, view.lines);
    for (const int32_t x : undecided_) {
      most = std::max(most, view.columns->count(static_cast<int64_t>(pixel(view, x))));
    }
  }
  sources_.resize(static_cast<size_t>(most));
  run_vectorized([this, views, out]<int bytes>(VectorBytes<bytes>) ASMLP_INLINE {
    const float** sources = sources_.data();
    float *logits = logits_.data(), *probabilities = probabilities_.data();
    for (const int32_t x : undecided_) {
      for (int c = 0; c < classes_; ++c) probabilities[c] = 0;
      for (size_t i = 0; i < views.size(); ++i) {
        const ViewLine& view = views[i];
        Blended& blended = blended_[i];
        const size_t at = pixel(view, x);
        const int32_t begin = view.columns->begin[at], end = view.columns->begin[at + 1];
        const int32_t* cells = view.columns->index.data();
        for (int32_t k = begin; k < end; ++k) {
          uint8_t& ready = blended.ready[static_cast<size_t>(cells[k] - blended.first)];
          if (ready != 0) continue;
          ready = 1;
          const int32_t window = cells[k] / view.cells;
          const int64_t offset = (cells[k] - window * view.cells) * view.stride;
          for (int line = 0; line < view.lines; ++line) {
            sources[line] = view.values[static_cast<size_t>(line * view.windows + window)] + offset;
          }
          weighted_sum(sources, view.weights, view.lines, classes_,
                       blended.values.get() + int64_t{cells[k] - blended.first} * classes_);
        }
        for (int32_t k = begin; k < end; ++k) {
          sources[k - begin] = blended.values.get() + int64_t{cells[k] - blended.first} * classes_;
        }
        weighted_sum(sources, view.columns->weight.data() + begin, end - begin, classes_, logits);
        if (views.size() > 1) add_probabilities<bytes>(logits, classes_, probabilities);
      }
      const Largest largest =
          largest_of<bytes>(views.size() > 1 ? probabilities : logits, classes_);
      out[x] = static_cast<uint8_t>(largest.index);
    }
  });
}

}  // namespace asmlp::segment
