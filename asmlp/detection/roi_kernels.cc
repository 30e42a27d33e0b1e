#include "asmlp/detection/roi_kernels.h"

#include <algorithm>

#include "asmlp/kernels/vectorized-inl.h"

namespace asmlp::detect {
namespace {

// store(c, sum) for every channel. Four vectors of sums stay in registers while the terms go by,
// then come single channels. (Explicit vectors: left alone, the compiler interleaves terms
// instead.)
template <int bytes, typename T, typename Store>
ASMLP_INLINE inline void for_sums(const T* rows, const Term<T>* terms, int64_t count,
                                  int64_t channels, const Store& store) {
  typedef T Vector __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  constexpr int64_t kBlock = 4 * bytes / sizeof(T);
  int64_t begin = 0;
  for (; begin + kBlock <= channels; begin += kBlock) {
    Vector sum0{}, sum1{}, sum2{}, sum3{};
    for (int64_t i = 0; i < count; ++i) {
      const auto* row = reinterpret_cast<const Vector*>(rows + terms[i].offset + begin);
      const T weight = terms[i].weight;
      sum0 += weight * row[0], sum1 += weight * row[1];
      sum2 += weight * row[2], sum3 += weight * row[3];
    }
    T sums[kBlock];
    auto* kept = reinterpret_cast<Vector*>(sums);
    kept[0] = sum0, kept[1] = sum1, kept[2] = sum2, kept[3] = sum3;
    for (int64_t c = 0; c < kBlock; ++c) store(begin + c, sums[c]);
  }
  for (; begin < channels; ++begin) {
    T sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += terms[i].weight * rows[terms[i].offset + begin];
    store(begin, sum);
  }
}

// The cells [low, high) of an axis that some bin takes.
template <typename T>
ASMLP_INLINE inline void span_of(const Band<T>& band, int64_t& low, int64_t& high) {
  low = INT64_MAX, high = INT64_MIN;
  for (int64_t i = 0; i < band.rows(); ++i) {
    const auto row = band.row(i);
    if (row.count > 0) low = std::min(low, row.first), high = std::max(high, row.first + row.count);
  }
}

}  // namespace

template <typename T>
void set_terms(const RoiSamples<T>& samples, int64_t bin_y, int64_t bin_x, int64_t width,
               int64_t stride, std::vector<Term<T>>& terms) {
  const auto y = samples.y.row(bin_y), x = samples.x.row(bin_x);
  terms.clear();
  for (int64_t i = 0; i < y.count; ++i) {
    for (int64_t j = 0; j < x.count; ++j) {
      const T weight = y.weights[i] * x.weights[j];
      const int64_t cell = (y.first + i) * width + x.first + j;
      if (weight != 0) terms.push_back({cell * stride, weight});
    }
  }
}

template <typename T>
void combine_rows(const T* rows, const Term<T>* terms, int64_t count, int64_t channels, T divisor,
                  T* out) {
  const auto body = [=](auto bytes) ASMLP_INLINE {
    for_sums<bytes()>(rows, terms, count, channels,
                      [=](int64_t c, T sum) ASMLP_INLINE { out[c] = sum / divisor; });
  };
  run_vectorized(body);
}

template <typename T>
void add_combined_rows(const T* rows, const Term<T>* terms, int64_t count, int64_t channels,
                       T* out) {
  const auto body = [=](auto bytes) ASMLP_INLINE {
    for_sums<bytes()>(rows, terms, count, channels,
                      [=](int64_t c, T sum) ASMLP_INLINE { out[c] += sum; });
  };
  run_vectorized(body);
}

// Rows of the plane first, whose loop runs over the whole width of the RoI.
template <typename T, typename S>
void pool_plane(const S* plane, int64_t width, const RoiSamples<T>& samples, std::vector<T>& line,
                T* out) {
  line.resize(width);
  run_vectorized([=, &samples, line = line.data()](auto) ASMLP_INLINE {
    const int64_t columns = samples.x.rows();
    int64_t low, high;
    span_of(samples.x, low, high);
    for (int64_t bin = 0; bin < samples.y.rows(); ++bin) {
      const auto y = samples.y.row(bin);
      for (int64_t i = low; i < high; ++i) line[i] = 0;
      for (int64_t k = 0; k < y.count; ++k) {
        const S* row = plane + (y.first + k) * width;
        const T weight = y.weights[k];
#pragma GCC ivdep
        for (int64_t i = low; i < high; ++i) line[i] += weight * static_cast<T>(row[i]);
      }
      for (int64_t i = 0; i < columns; ++i) {
        const auto x = samples.x.row(i);
        T sum = 0;
        for (int64_t k = 0; k < x.count; ++k) sum += x.weights[k] * line[x.first + k];
        out[bin * columns + i] = sum / samples.divisor;
      }
    }
  });
}

template <typename T>
void spread_plane(const T* d_out, int64_t width, const RoiSamples<T>& samples, std::vector<T>& line,
                  T* plane) {
  line.resize(width);
  run_vectorized([=, &samples, line = line.data()](auto) ASMLP_INLINE {
    const int64_t columns = samples.x.rows();
    int64_t low, high;
    span_of(samples.x, low, high);
    for (int64_t bin = 0; bin < samples.y.rows(); ++bin) {
      const auto y = samples.y.row(bin);
      for (int64_t i = low; i < high; ++i) line[i] = 0;
      for (int64_t i = 0; i < columns; ++i) {
        const auto x = samples.x.row(i);
        const T gradient = d_out[bin * columns + i] / samples.divisor;
        for (int64_t k = 0; k < x.count; ++k) line[x.first + k] += gradient * x.weights[k];
      }
      for (int64_t k = 0; k < y.count; ++k) {
        T* row = plane + (y.first + k) * width;
        const T weight = y.weights[k];
#pragma GCC ivdep
        for (int64_t i = low; i < high; ++i) row[i] += weight * line[i];
      }
    }
  });
}

#define ASMLP_INSTANTIATE(T)                                                              \
  template void set_terms(const RoiSamples<T>&, int64_t, int64_t, int64_t, int64_t,       \
                          std::vector<Term<T>>&);                                         \
  template void combine_rows(const T*, const Term<T>*, int64_t, int64_t, T, T*);          \
  template void add_combined_rows(const T*, const Term<T>*, int64_t, int64_t, T*);        \
  template void pool_plane(const T*, int64_t, const RoiSamples<T>&, std::vector<T>&, T*); \
  template void spread_plane(const T*, int64_t, const RoiSamples<T>&, std::vector<T>&, T*);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)
#undef ASMLP_INSTANTIATE
template void pool_plane(const uint8_t*, int64_t, const RoiSamples<float>&, std::vector<float>&,
                         float*);

}  // namespace asmlp::detect
