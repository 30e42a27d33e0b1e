// The backward pass of fused_shift_block(), group by group as the forward pass.
#pragma once

#include "asmlp/torch/ops/shift_forward-inl.h"

namespace asmlp::nn {

// Of the parameters.
template <typename P>
struct ShiftGradients {
  using T = Arithmetic<P>;
  explicit ShiftGradients(const ShiftMaps& m)
      : conv1(m.channels(), m.channels(), m.moments.options()),
        branch{{m.channels(), m.channels(), m.moments.options()},
               {m.channels(), m.channels(), m.moments.options()}},
        conv3(m.channels(), m.channels(), m.moments.options()),
        norm(2 * m.channels(), m.moments.options()),
        norm1(2 * m.channels(), m.moments.options()),
        norm2(2 * m.channels(), m.moments.options()) {}
  ProjectionGradient<P> conv1, branch[2], conv3;
  ThreadSums<T> norm, norm1, norm2;  // gamma's, then beta's
};

template <typename S, typename P>
class ShiftBackward {
 public:
  using T = Arithmetic<S>;

  ShiftBackward(const ShiftMaps& m, const ShiftKept& kept, const torch::Tensor& dy,
                const torch::Tensor& dx, ShiftGradients<P>& gradients)
      : m_(m),
        kept_(kept),
        dy_(dy),
        dx_(dx),
        gradients_(gradients),
        c_(m.channels()),
        weights_(m.block, c_, /*forward=*/false, kWeights<S>),
        shifts_{{m.block.along_w, false, m.x.size(1), m.x.size(2), c_},
                {m.block.along_h, false, m.x.size(1), m.x.size(2), c_}},
        adjoints_{{m.block.along_w, true, m.x.size(1), m.x.size(2), c_},
                  {m.block.along_h, true, m.x.size(1), m.x.size(2), c_}} {}

  void run() {
    for_image_groups(m_.images(), m_.pixels(), Schedule::kStatic, [&](int64_t begin, int64_t end) {
      run(ImageGroup{m_.samples.data() + begin, begin, Segments(end - begin, m_.pixels())});
    });
  }

 private:
  // The group's part of a map that was kept.
  const S* rows_of(const torch::Tensor& map, const ImageGroup& group) const {
    return stored<S>(map) + group.first_row() * c_;
  }

  // From the end of the branch to its beginning. Three maps of the group pass gradients from one
  // product to the next; the sums of a norm stand between them.
  void run(const ImageGroup& group) {
    const Segments& segments = group.segments;
    const auto maps = torch::empty({3, segments.rows() * c_}, m_.x.options());
    S* const first = stored<S>(maps);
    S *const second = first + segments.rows() * c_, *const third = second + segments.rows() * c_;
    const Moments<T>* z_moments = moments_in<T>(kept_.z_moments) + group.first;
    const Moments<T>* y_moments = moments_in<T>(kept_.y_moments) + group.first;
    Scratch scratch;
    NormBackward<T> norm2(scratch, segments, c_), norm1(scratch, segments, c_),
        norm(scratch, segments, c_);

    parallel_segments(
        segments, block_rows(6 * c_, 168), Schedule::kStatic,
        [&](const RowBlock& block) { back_to_norm2(group, block, y_moments, first, norm2); });
    norm2.finish(m_.block.norm2.weight.template data_ptr<T>(), gradients_.norm2.data());

    const auto a = torch::empty({segments.rows() * c_ * int64_t{sizeof(P)}}, at::kByte);
    auto* const activated = reinterpret_cast<P*>(a.template data_ptr<uint8_t>());
    parallel_segments(
        segments, block_rows(2 * c_, 112), Schedule::kDynamic, [&](const RowBlock& block) {
          normalize_block(segments, block, rows_of(kept_.z, group), activated + block.begin * c_,
                          c_, z_moments, parameters_of<T>(m_.block.norm1), Activation::kGelu);
        });
    parallel_segments(
        segments, block_rows(6 * c_, 168), Schedule::kStatic, [&](const RowBlock& block) {
          back_to_shifts(group, block, y_moments, first, activated, norm2, second, third);
        });
    parallel_segments(segments, block_rows(5 * c_, 112), Schedule::kDynamic,
                      [&](const RowBlock& block) {
                        back_to_norm1(group, block, z_moments, second, third, first, norm1);
                      });
    norm1.finish(m_.block.norm1.weight.template data_ptr<T>(), gradients_.norm1.data());
    parallel_segments(segments, block_rows(6 * c_, 168), Schedule::kStatic,
                      [&](const RowBlock& block) {
                        back_to_norm(group, block, z_moments, first, norm1, second, norm);
                      });
    norm.finish(m_.block.norm.weight.template data_ptr<T>(), gradients_.norm.data());
    if (!dx_.defined()) return;
    norm_gradient_batch<S>(m_.x, m_.moments, m_.block.norm.weight, group, second, norm, dy_, dx_);
  }

  // Through conv3: `du` becomes the gradient of norm2's output.
  void back_to_norm2(const ImageGroup& group, const RowBlock& block, const Moments<T>* moments,
                     S* du, NormBackward<T>& norm) {
    Scratch scratch;
    const int64_t rows = block.rows();
    const S* y = rows_of(kept_.y, group);
    auto* d = scratch.take<P>(rows * c_);
    scale_batch<S>(dy_, m_.scale, group, block, d);
    auto* normal = scratch.take<P>(rows * c_);
    normalize_block(group.segments, block, y, normal, c_, moments, parameters_of<T>(m_.block.norm2),
                    Activation::kNone);
    add_columns(d, rows, c_, gradients_.conv3.bias());
    gradients_.conv3.add(d, normal, rows);
    S* const to = du + block.begin * c_;
    T* const product = product_rows(scratch, to, rows * c_);
    weights_.conv3.multiply(d, c_, rows, product);
    for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t s) {
      const int64_t at = (begin - block.begin) * c_;
      norm_sums(y + begin * c_, product + at, to + at, n, c_, moments[image], {}, Activation::kNone,
                norm.segment(s));
    });
  }

  // Through norm2, the GELUs and conv2_1, conv2_2: the gradients of the shifted maps.
  void back_to_shifts(const ImageGroup& group, const RowBlock& block, const Moments<T>* moments,
                      const S* du, const P* activated, const NormBackward<T>& norm2, S* d_shifted1,
                      S* d_shifted2) {
    Scratch scratch;
    const int64_t rows = block.rows();
    auto* d_sum = scratch.take<T>(rows * c_);
    for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t) {
      norm_gradient<S, T>(rows_of(kept_.y, group) + begin * c_, du + begin * c_, nullptr,
                          d_sum + (begin - block.begin) * c_, n, c_, moments[image],
                          m_.block.norm2.weight.template data_ptr<T>(), norm2.means(image));
    });
    auto* dz = scratch.take<P>(rows * c_);
    auto* shifted = scratch.take<P>(rows * c_);
    for (int i = 0; i < 2; ++i) {
      const S* z = rows_of(i == 0 ? kept_.z1 : kept_.z2, group) + block.begin * c_;
      gelu_backward<S, P>(z, d_sum, dz, nullptr, rows, c_, gradients_.branch[i].bias());
      shifts_[i].gather(activated, block.begin, block.end, shifted);
      gradients_.branch[i].add(dz, shifted, rows);
      S* const to = (i == 0 ? d_shifted1 : d_shifted2) + block.begin * c_;
      T* const product = product_rows(scratch, to, rows * c_);
      weights_.branch[i].multiply(dz, c_, rows, product);
      store_rows<S>(product, to, rows, c_, nullptr);
    }
  }

  // Through the shifts and the GELU: `du` becomes the gradient of norm1's output.
  void back_to_norm1(const ImageGroup& group, const RowBlock& block, const Moments<T>* moments,
                     const S* d_shifted1, const S* d_shifted2, S* du, NormBackward<T>& norm) {
    Scratch scratch;
    auto* d = scratch.take<T>(block.rows() * c_);
    adjoints_[0].gather(d_shifted1, block.begin, block.end, d);
    adjoints_[1].gather(d_shifted2, block.begin, block.end, d, /*add=*/true);
    for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t s) {
      norm_sums(rows_of(kept_.z, group) + begin * c_, d + (begin - block.begin) * c_,
                du + begin * c_, n, c_, moments[image], parameters_of<T>(m_.block.norm1),
                Activation::kGelu, norm.segment(s));
    });
  }

  // Through norm1 and conv1: `d_normal` becomes the gradient of norm's output.
  void back_to_norm(const ImageGroup& group, const RowBlock& block, const Moments<T>* moments,
                    const S* du, const NormBackward<T>& norm1, S* d_normal, NormBackward<T>& norm) {
    Scratch scratch;
    const int64_t rows = block.rows();
    auto* dz = scratch.take<P>(rows * c_);
    for_segments(group.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t) {
      norm_gradient<S, P>(rows_of(kept_.z, group) + begin * c_, du + begin * c_, nullptr,
                          dz + (begin - block.begin) * c_, n, c_, moments[image],
                          m_.block.norm1.weight.template data_ptr<T>(), norm1.means(image));
    });
    add_columns(dz, rows, c_, gradients_.conv1.bias());
    auto* normal = scratch.take<P>(rows * c_);
    normalize_batch<S>(m_.x, m_.moments, m_.block.norm, group, block, normal);
    gradients_.conv1.add(dz, normal, rows);
    S* const to = d_normal + block.begin * c_;
    T* const product = product_rows(scratch, to, rows * c_);
    weights_.conv1.multiply(dz, c_, rows, product);
    sum_norm_batch(m_.x, m_.moments, group, block, product, to, norm);
  }

  const ShiftMaps& m_;
  const ShiftKept& kept_;
  torch::Tensor dy_, dx_;
  ShiftGradients<P>& gradients_;
  int64_t c_;
  ShiftWeights<P> weights_;
  ShiftRows shifts_[2], adjoints_[2];
};

}  // namespace asmlp::nn
