// Norms of feature maps inside of larger operators: their rows pass block by block.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/config.h"
#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {

// Moments of images as they lie in a tensor of N x 2.
template <typename T>
Moments<T>* moments_in(const torch::Tensor& tensor) {
  static_assert(sizeof(Moments<T>) == 2 * sizeof(T));
  return reinterpret_cast<Moments<T>*>(tensor.data_ptr<T>());
}

// Of every image from its rows'.
template <typename T>
void finish_moments(const RowMoments<T>* rows, int64_t images, int64_t pixels, int64_t channels,
                    Moments<T>* moments) {
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      moments[i] = image_moments(rows + i * pixels, pixels, channels, kNormEps);
    }
  });
}

// Of these samples of a batch, into its N x 2.
template <typename T>
void finish_samples(const std::vector<int64_t>& samples, const RowMoments<T>* rows, int64_t pixels,
                    int64_t channels, const torch::Tensor& moments) {
  at::parallel_for(0, static_cast<int64_t>(samples.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sample = samples[static_cast<size_t>(i)];
      moments_in<T>(moments)[sample] =
          image_moments(rows + sample * pixels, pixels, channels, kNormEps);
    }
  });
}

// Of N x H x W x C maps of type S: N x 2.
template <typename S>
torch::Tensor moments_of(const torch::Tensor& x, const torch::TensorOptions& options) {
  using T = Arithmetic<S>;
  const int64_t channels = x.size(3), pixels = x.size(1) * x.size(2);
  const auto moments = torch::empty({x.size(0), 2}, options);
  const auto rows = torch::empty({x.size(0) * pixels, 2}, options);
  auto* const sums = reinterpret_cast<RowMoments<T>*>(rows.data_ptr<T>());
  const S* in = stored<S>(x);
  parallel_blocks(x.size(0) * pixels, block_rows(channels, 64), Schedule::kDynamic,
                  [&](int64_t begin, int64_t end) {
                    row_moments(in + begin * channels, end - begin, channels, sums + begin);
                  });
  finish_moments(sums, x.size(0), pixels, channels, moments_in<T>(moments));
  return moments;
}

// The images that an operator computes, a part of a larger batch in its order, and a group of them
// (for_image_groups) in turn. Maps that belong to the operator hold these images alone.
struct ImageGroup {
  const int64_t* images;  // their numbers in the batch, from the group's first on
  int64_t first;          // the group's place among those that are computed
  Segments segments;

  // Where `row` of `image` of the group is in a map of the whole batch.
  int64_t batch_row(int64_t image, int64_t row) const {
    return (images[image] - image) * segments.pixels() + row;
  }
  // Where the group's rows begin in a map of the images that are computed.
  int64_t first_row() const { return first * segments.pixels(); }
};

// The backward pass of a norm over a group of images: sums in a first pass, the gradient in a
// second.
template <typename T>
class NormBackward {
 public:
  NormBackward(Scratch& scratch, const Segments& segments, int64_t channels)
      : segments_(segments), channels_(channels) {
    const int64_t count = segments.count() * 2 * channels;
    sums_ = scratch.take<T>(count);
    std::fill_n(sums_, count, T(0));
  }

  // Where a segment's sums go.
  NormSums<T> segment(int64_t index) const {
    T* sums = sums_ + index * 2 * channels_;
    return {sums, sums + channels_};
  }
  // After the first pass. `total`, the gradients of gamma and then of beta, receives all sums.
  void finish(const T* gamma, T* total) {
    const int64_t parts = segments_.per_image();
    means_.resize(static_cast<size_t>(segments_.images()));
    for (int64_t image = 0; image < segments_.images(); ++image) {
      T* sums = sums_ + image * parts * 2 * channels_;
      add_columns(sums + 2 * channels_, parts - 1, 2 * channels_, sums);
      means_[static_cast<size_t>(image)] =
          norm_means<T>({sums, sums + channels_}, gamma, channels_, segments_.pixels() * channels_);
      add_columns(sums, 1, 2 * channels_, total);
    }
  }
  NormMeans<T> means(int64_t image) const { return means_[static_cast<size_t>(image)]; }

 private:
  Segments segments_;
  int64_t channels_;
  T* sums_;
  std::vector<NormMeans<T>> means_;
};

// The factor of a sample; 1 where there are none.
template <typename T>
T sample_factor(const torch::Tensor& scale, int64_t sample) {
  return scale.defined() ? scale.data_ptr<T>()[sample] : T(1);
}

template <typename T>
NormParameters<T> parameters_of(const Projection& norm) {
  return {norm.weight.data_ptr<T>(), norm.bias.data_ptr<T>()};
}

// The norm of a block of x, a map of the whole batch with its moments, into dense rows.
template <typename S, typename P>
void normalize_batch(const torch::Tensor& x, const torch::Tensor& moments, const Projection& norm,
                     const ImageGroup& group, const RowBlock& block, P* out) {
  using T = Arithmetic<S>;
  const int64_t c = x.size(-1);
  for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t rows, int64_t) {
    normalize(stored<S>(x) + group.batch_row(image, begin) * c, out + (begin - block.begin) * c,
              rows, c, moments_in<T>(moments)[group.images[image]], parameters_of<T>(norm),
              Activation::kNone);
  });
}

// factor * dy of a block, dy being a map of the whole batch, into dense rows.
template <typename S, typename P>
void scale_batch(const torch::Tensor& dy, const torch::Tensor& factors, const ImageGroup& group,
                 const RowBlock& block, P* out) {
  const int64_t c = dy.size(-1);
  for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t rows, int64_t) {
    scale(stored<S>(dy) + group.batch_row(image, begin) * c,
          sample_factor<Arithmetic<S>>(factors, group.images[image]),
          out + (begin - block.begin) * c, rows * c);
  });
}

// The first pass back through that norm: the sums of a block, whose gradient `d_normal` (dense
// rows) is kept at `kept`, rows of the block, too.
template <typename S>
void sum_norm_batch(const torch::Tensor& x, const torch::Tensor& moments, const ImageGroup& group,
                    const RowBlock& block, const Arithmetic<S>* d_normal, S* kept,
                    const NormBackward<Arithmetic<S>>& norm) {
  const int64_t c = x.size(-1);
  for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t rows, int64_t s) {
    const int64_t at = (begin - block.begin) * c;
    norm_sums(stored<S>(x) + group.batch_row(image, begin) * c, d_normal + at, kept + at, rows, c,
              moments_in<Arithmetic<S>>(moments)[group.images[image]], {}, Activation::kNone,
              norm.segment(s));
  });
}

// The second pass: dx = dy + the norm's gradient, `kept` being the group's rows of the first pass.
template <typename S>
void norm_gradient_batch(const torch::Tensor& x, const torch::Tensor& moments,
                         const torch::Tensor& gamma, const ImageGroup& group, const S* kept,
                         const NormBackward<Arithmetic<S>>& norm, const torch::Tensor& dy,
                         const torch::Tensor& dx) {
  using T = Arithmetic<S>;
  const int64_t c = x.size(-1);
  parallel_segments(
      group.segments, block_rows(4 * c, 64), Schedule::kDynamic, [&](const RowBlock& block) {
        for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t) {
          const int64_t at = group.batch_row(image, begin) * c;
          norm_gradient<S, S>(stored<S>(x) + at, kept + begin * c, stored<S>(dy) + at,
                              stored<S>(dx) + at, n, c, moments_in<T>(moments)[group.images[image]],
                              gamma.data_ptr<T>(), norm.means(image));
        });
      });
}

// The numbers of the samples that a branch is computed for: all, or those whose factor (one per
// sample, undefined for 1) is not 0, and that drop path therefore keeps.
inline std::vector<int64_t> kept_samples(int64_t samples, const torch::Tensor& scale) {
  std::vector<int64_t> kept;
  for (int64_t n = 0; n < samples; ++n) {
    const bool dropped =
        scale.defined() && (scale.scalar_type() == at::kDouble ? scale.data_ptr<double>()[n] == 0
                                                               : scale.data_ptr<float>()[n] == 0);
    if (!dropped) kept.push_back(n);
  }
  return kept;
}

// Copies the samples that are not kept, whose branch adds nothing.
inline void copy_dropped(const std::vector<int64_t>& kept, const torch::Tensor& from,
                         const torch::Tensor& to) {
  size_t next = 0;
  for (int64_t n = 0; n < from.size(0); ++n) {
    if (next < kept.size() && kept[next] == n) {
      ++next;
    } else {
      to[n].copy_(from[n]);
    }
  }
}

// Error(kInvalidArgument) unless the norm and the factors fit N x H x W x C.
inline void check_block(const torch::Tensor& x, const Projection& norm,
                        const torch::Tensor& scale) {
  require(x.dim() == 4 && norm.weight.numel() == x.size(3) && norm.bias.numel() == x.size(3) &&
              (!scale.defined() || scale.numel() == x.size(0)),
          ErrorCode::kInvalidArgument,
          "block: input {} does not fit a norm of {} channels and {} factors",
          to_string(Shape(x.sizes().begin(), x.sizes().end())), norm.weight.numel(),
          scale.defined() ? scale.numel() : 0);
}

inline Projection dense_norm(const Projection& norm) {
  return {norm.weight.contiguous(), norm.bias.contiguous()};
}

// The map with its moments, computed unless it has them.
inline FeatureMap with_moments(const FeatureMap& map, const torch::Tensor& parameter) {
  if (map.moments.defined()) return map;
  FeatureMap result{map.x, {}};
  dispatch_stored(map.x, [&](auto type) {
    result.moments = moments_of<decltype(type)>(map.x.detach(), parameter.options());
  });
  return result;
}

// Factors of the parameters' type, without gradient; undefined as before.
inline torch::Tensor factors_like(const torch::Tensor& scale, const torch::Tensor& parameter) {
  return scale.defined() ? scale.detach().to(parameter.options()).contiguous() : torch::Tensor();
}

}  // namespace asmlp::nn
