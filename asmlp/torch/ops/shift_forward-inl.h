// The forward pass of fused_shift_block(): a group of images goes through all of it while its maps
// are in the cache.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/image_norm-inl.h"
#include "asmlp/torch/ops/row_blocks-inl.h"
#include "asmlp/torch/ops/shift_rows.h"

namespace asmlp::nn {

// What the kernels are given; parameters are dense.
struct ShiftMaps {
  torch::Tensor x, moments;
  ShiftBlock block;
  torch::Tensor scale;                // of every sample of the batch, or undefined
  std::vector<int64_t> samples = {};  // that are computed

  int64_t channels() const { return x.size(3); }
  int64_t pixels() const { return x.size(1) * x.size(2); }
  int64_t images() const { return static_cast<int64_t>(samples.size()); }
  int64_t multiply_adds() const { return images() * pixels() * 4 * channels() * channels(); }
  int64_t bytes(int64_t maps) const {
    return images() * pixels() * channels() * maps * x.element_size();
  }
};

// What the backward pass needs of the forward pass, of the samples that are computed: conv1's
// output z, what the two GELUs are applied to, their sum y, and the moments of z and y.
struct ShiftKept {
  torch::Tensor z, z1, z2, y;
  torch::Tensor z_moments, y_moments;
};

// The norm of a block's rows, which are the group's own.
template <typename S, typename P>
void normalize_block(const Segments& segments, const RowBlock& block, const S* x, P* out,
                     int64_t channels, const Moments<Arithmetic<S>>* moments,
                     NormParameters<Arithmetic<S>> norm, Activation activation) {
  for_segments(segments, block, [&](int64_t image, int64_t begin, int64_t rows, int64_t) {
    normalize(x + begin * channels, out + (begin - block.begin) * channels, rows, channels,
              moments[image], norm, activation);
  });
}

// The packed weights of the four projections, of one pass.
template <typename P>
struct ShiftWeights {
  using T = Arithmetic<P>;
  ShiftWeights(const ShiftBlock& block, int64_t channels, bool forward, WeightRounding rounding)
      : conv1(factor(block.conv1, channels, forward, rounding)),
        branch{factor(block.conv2_1, channels, forward, rounding),
               factor(block.conv2_2, channels, forward, rounding)},
        conv3(factor(block.conv3, channels, forward, rounding)) {
    for (PackedWeights<P>* weights : {&conv1, &branch[0], &branch[1], &conv3}) pack(*weights);
  }
  PackedWeights<P> conv1, branch[2], conv3;

 private:
  static PackedWeights<P> factor(const Projection& projection, int64_t channels, bool forward,
                                 WeightRounding rounding) {
    return {projection.weight.data_ptr<T>(),
            channels,
            channels,
            /*transposed=*/forward,
            forward ? data_or_null<T>(projection.bias) : nullptr,
            rounding};
  }
};

template <typename S, typename P>
class ShiftForward {
 public:
  using T = Arithmetic<S>;

  // `kept` null: nothing is kept. `row_sums`: the moments of y's rows, of the whole batch.
  ShiftForward(const ShiftMaps& m, ShiftKept* kept, const torch::Tensor& y, RowMoments<T>* row_sums)
      : m_(m),
        kept_(kept),
        result_(y),
        row_sums_(row_sums),
        c_(m.channels()),
        weights_(m.block, c_, /*forward=*/true, kWeights<S>),
        shifts_{{m.block.along_w, false, m.x.size(1), m.x.size(2), c_},
                {m.block.along_h, false, m.x.size(1), m.x.size(2), c_}} {}

  void run() {
    for_image_groups(m_.images(), m_.pixels(), Schedule::kDynamic, [&](int64_t begin, int64_t end) {
      run(ImageGroup{m_.samples.data() + begin, begin, Segments(end - begin, m_.pixels())});
    });
  }

 private:
  // A map of the group: a part of one that is kept, or the group's own.
  S* map(const torch::Tensor ShiftKept::*kept, torch::Tensor& own, const ImageGroup& group) const {
    if (kept_ != nullptr) return stored<S>(kept_->*kept) + group.first_row() * c_;
    own = torch::empty({group.segments.rows() * c_}, m_.x.options());
    return stored<S>(own);
  }
  Moments<T>* moments(const torch::Tensor ShiftKept::*kept, std::vector<Moments<T>>& own,
                      const ImageGroup& group) const {
    if (kept_ != nullptr) return moments_in<T>(kept_->*kept) + group.first;
    own.resize(static_cast<size_t>(group.segments.images()));
    return own.data();
  }

  void run(const ImageGroup& group) {
    const Segments& segments = group.segments;
    torch::Tensor own_z, own_y;
    S* const z = map(&ShiftKept::z, own_z, group);
    S* const y = map(&ShiftKept::y, own_y, group);
    std::vector<Moments<T>> own_z_moments, own_y_moments;
    Moments<T>* const z_moments = moments(&ShiftKept::z_moments, own_z_moments, group);
    Moments<T>* const y_moments = moments(&ShiftKept::y_moments, own_y_moments, group);
    Scratch scratch;
    auto* const sums = scratch.take<RowMoments<T>>(segments.rows());

    parallel_segments(segments, block_rows(3 * c_, 112), Schedule::kDynamic,
                      [&](const RowBlock& block) { project_input(group, block, z, sums); });
    finish_moments(sums, segments.images(), m_.pixels(), c_, z_moments);
    const auto a = torch::empty({segments.rows() * c_ * int64_t{sizeof(P)}}, at::kByte);
    auto* const activated = reinterpret_cast<P*>(a.template data_ptr<uint8_t>());
    parallel_segments(
        segments, block_rows(2 * c_, 112), Schedule::kDynamic, [&](const RowBlock& block) {
          normalize_block(segments, block, z, activated + block.begin * c_, c_, z_moments,
                          parameters_of<T>(m_.block.norm1), Activation::kGelu);
        });
    parallel_segments(
        segments, block_rows(5 * c_, 112), Schedule::kDynamic,
        [&](const RowBlock& block) { add_branches(group, block, activated, y, sums); });
    finish_moments(sums, segments.images(), m_.pixels(), c_, y_moments);
    parallel_segments(segments, block_rows(4 * c_, 112), Schedule::kDynamic,
                      [&](const RowBlock& block) { add_to_input(group, block, y, y_moments); });
  }

  void project_input(const ImageGroup& group, const RowBlock& block, S* z, RowMoments<T>* sums) {
    Scratch scratch;
    auto* normal = scratch.take<P>(block.rows() * c_);
    normalize_batch<S>(m_.x, m_.moments, m_.block.norm, group, block, normal);
    S* const to = z + block.begin * c_;
    T* const product = product_rows(scratch, to, block.rows() * c_);
    weights_.conv1.multiply(normal, c_, block.rows(), product);
    store_rows<S>(product, to, block.rows(), c_, sums + block.begin);
  }

  void add_branches(const ImageGroup& group, const RowBlock& block, const P* activated, S* y,
                    RowMoments<T>* sums) {
    Scratch scratch;
    const int64_t rows = block.rows();
    auto* shifted = scratch.take<P>(rows * c_);
    S* z[2] = {};
    T* product[2];
    for (int i = 0; i < 2; ++i) {
      if (kept_ != nullptr) {
        z[i] = stored<S>(i == 0 ? kept_->z1 : kept_->z2) + (group.first_row() + block.begin) * c_;
      }
      product[i] =
          z[i] != nullptr ? product_rows(scratch, z[i], rows * c_) : scratch.take<T>(rows * c_);
      shifts_[i].gather(activated, block.begin, block.end, shifted);
      weights_.branch[i].multiply(shifted, c_, rows, product[i]);
    }
    store_gelu_sum<S>(product[0], product[1], z[0], z[1], y + block.begin * c_, rows, c_,
                      sums + block.begin);
  }

  void add_to_input(const ImageGroup& group, const RowBlock& block, const S* y,
                    const Moments<T>* moments) {
    Scratch scratch;
    auto* normal = scratch.take<P>(block.rows() * c_);
    auto* branch = scratch.take<T>(block.rows() * c_);
    normalize_block(group.segments, block, y, normal, c_, moments, parameters_of<T>(m_.block.norm2),
                    Activation::kNone);
    weights_.conv3.multiply(normal, c_, block.rows(), branch);
    for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t) {
      const int64_t row = group.batch_row(image, begin);
      store_sum(stored<S>(m_.x) + row * c_, branch + (begin - block.begin) * c_,
                sample_factor<T>(m_.scale, group.images[image]), stored<S>(result_) + row * c_, n,
                c_, row_sums_ + row);
    });
  }

  const ShiftMaps& m_;
  ShiftKept* kept_;
  torch::Tensor result_;
  RowMoments<T>* row_sums_;
  int64_t c_;
  ShiftWeights<P> weights_;
  ShiftRows shifts_[2];
};

}  // namespace asmlp::nn
