// What the operators made of projections share: rows in blocks that stay in the cache, images in
// groups that stay near, and the gradients of parameters, which are sums over all rows.
#pragma once

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "asmlp/torch/kernels/bf16_gemm.h"
#include "asmlp/torch/kernels/gemm.h"
#include "asmlp/torch/kernels/kernels.h"
#include "asmlp/torch/kernels/scratch.h"

namespace asmlp::nn {

// Rows of `width` elements in all that fill 0.8 MB of a core's L2 cache in fp32, but enough of them
// to pay for reading the weights (and, in the backward pass, their gradients) once per block.
inline int64_t block_rows(int64_t width, int64_t least) {
  return std::clamp<int64_t>(196'608 / width, least, 448);
}

// Which thread takes what. Cores are seldom of one speed: a thread that is done should take what is
// left. But what sums for itself (ThreadSums) must take the same every time.
enum class Schedule { kStatic, kDynamic };

// body(i) for i < count, spread over LibTorch's threads.
template <typename Body>
void parallel_items(int64_t count, Schedule schedule, const Body& body) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  };
  // at::parallel_for would run it too, but as thread 0, which ThreadSums must not believe.
  if (at::in_parallel_region()) return run(0, count);
  if (schedule == Schedule::kStatic) return at::parallel_for(0, count, 1, run);
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(count, at::get_num_threads()), 1, [&](int64_t, int64_t) {
    for (int64_t i = next++; i < count; i = next++) body(i);
  });
}

// [0, rows) in even blocks of about `block` rows, at least one for every thread: body(first, last)
// for each, spread over LibTorch's threads.
template <typename Body>
void parallel_blocks(int64_t rows, int64_t block, Schedule schedule, const Body& body) {
  int64_t count = std::max<int64_t>(1, (rows + block - 1) / block);
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  if (count < 4 * threads) count = std::min((count + threads - 1) / threads * threads, rows);
  parallel_items(count, schedule,
                 [&](int64_t i) { body(rows * i / count, rows * (i + 1) / count); });
}

// [begin, end) in even blocks of about `block` rows, one after the other: body(first, last).
template <typename Body>
void for_blocks(int64_t begin, int64_t end, int64_t block, const Body& body) {
  const int64_t rows = end - begin, count = std::max<int64_t>(1, (rows + block - 1) / block);
  for (int64_t i = 0; i < count; ++i)
    body(begin + rows * i / count, begin + rows * (i + 1) / count);
}

// Slices of the rows that sum apart, one thread each.
inline int64_t slice_count(int64_t rows, int64_t block) {
  return std::clamp<int64_t>(rows / block, 1, at::get_num_threads());
}

// The rows (pixels) of images in segments of at most 64, none of which holds two images. Sums over
// an image are made segment by segment, so that their bits do not depend on the blocks.
class Segments {
 public:
  Segments(int64_t images, int64_t pixels)
      : images_(images), pixels_(pixels), parts_((pixels + 63) / 64) {}
  int64_t images() const { return images_; }
  int64_t pixels() const { return pixels_; }
  int64_t rows() const { return images_ * pixels_; }
  int64_t count() const { return images_ * parts_; }
  int64_t per_image() const { return parts_; }
  int64_t image(int64_t segment) const { return segment / parts_; }
  int64_t begin(int64_t segment) const {
    return image(segment) * pixels_ + pixels_ * (segment % parts_) / parts_;
  }

 private:
  int64_t images_, pixels_, parts_;
};

// Consecutive segments that go through a product together.
struct RowBlock {
  int64_t begin, end;  // rows
  int64_t first_segment, last_segment;
  int64_t rows() const { return end - begin; }
};

// Blocks of about `block` rows: body(RowBlock), spread over LibTorch's threads.
template <typename Body>
void parallel_segments(const Segments& segments, int64_t block, Schedule schedule,
                       const Body& body) {
  if (segments.count() == 0) return;
  const int64_t pieces = std::clamp<int64_t>(segments.rows() / block, 1, segments.count());
  parallel_blocks(segments.count(), std::max<int64_t>(1, segments.count() / pieces), schedule,
                  [&](int64_t first, int64_t last) {
                    body(RowBlock{segments.begin(first), segments.begin(last), first, last});
                  });
}

// body(image, begin, rows, segment) for the segments of a block, `begin` being a row.
template <typename Body>
void for_segments(const Segments& segments, const RowBlock& block, const Body& body) {
  for (int64_t s = block.first_segment; s < block.last_segment; ++s) {
    const int64_t begin = segments.begin(s);
    body(segments.image(s), begin, segments.begin(s + 1) - begin, s);
  }
}

// Images in groups that a thread takes through all passes of an operator while they are in its
// cache: body(first, last) for each. With too few images for all threads, one group holds them all,
// and its passes are spread over the threads instead.
template <typename Body>
void for_image_groups(int64_t images, int64_t pixels, Schedule schedule, const Body& body) {
  constexpr int64_t kGroupRows = 448;
  if (images == 0) return;
  const int64_t least = std::max<int64_t>(1, kGroupRows / pixels);
  int64_t groups = (images + least - 1) / least;
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  if (threads > 1) {
    // As many for every thread, of which the longest decides.
    const int64_t each = (groups + threads - 1) / threads;
    groups = std::min(each * threads, images);
    const int64_t longest = (images + groups - 1) / groups * ((groups + threads - 1) / threads);
    if (10 * images < 9 * longest * threads) return body(int64_t{0}, images);
  }
  parallel_items(groups, schedule,
                 [&](int64_t g) { body(images * g / groups, images * (g + 1) / groups); });
}

// Packs with all threads what is large enough for them.
template <typename P>
void pack(PackedWeights<P>& factor) {
  if (factor.panels() == 0) return;
  at::parallel_for(0, factor.panels(), 1 + (1 << 16) / factor.panel_elements(),
                   [&](int64_t begin, int64_t end) { factor.pack(begin, end); });
}

// Rows of a map as products read them: where they are, or converted.
template <typename P, typename S>
const P* product_input(Scratch& scratch, const S* rows, int64_t count) {
  if constexpr (std::is_same_v<S, P>) {
    return rows;
  } else {
    auto* converted = scratch.take<P>(count);
    convert(rows, converted, count);
    return converted;
  }
}

// Where a product that will be stored at `to` is written: there, or aside.
template <typename S>
Arithmetic<S>* product_rows(Scratch& scratch, S* to, int64_t count) {
  if constexpr (std::is_same_v<S, Arithmetic<S>>) {
    return to;
  } else {
    return scratch.take<Arithmetic<S>>(count);
  }
}

template <typename T>
const T* data_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

// Sums that every thread makes for itself; the calling thread's are meant by the members below.
template <typename T>
class ThreadSums {
 public:
  ThreadSums(int64_t count, const torch::TensorOptions& options)
      : sums_(torch::zeros({at::get_num_threads(), count}, options)) {}
  T* data() const { return sums_.template data_ptr<T>() + at::get_thread_num() * sums_.size(1); }
  torch::Tensor total() const { return sums_.size(0) == 1 ? sums_[0] : sums_.sum(0); }

 private:
  torch::Tensor sums_;
};

// dW (out x in) and db of one projection.
template <typename P>
class ProjectionGradient {
 public:
  using T = Arithmetic<P>;
  // `options` are the parameters'.
  ProjectionGradient(int64_t out, int64_t in, const torch::TensorOptions& options)
      : in_(in),
        out_(out),
        options_(options),
        weights_(static_cast<size_t>(at::get_num_threads())),
        bias_(out, options) {}

  // What the columns of dz must be added to.
  T* bias() const { return bias_.data(); }
  // dW += dz^T x.
  void add(const P* dz, const P* x, int64_t rows) {
    torch::Tensor& weight = weights_[static_cast<size_t>(at::get_thread_num())];
    const bool add = weight.defined();
    if (!add) weight = torch::empty({out_, in_}, options_);
    multiply_transposed(dz, out_, x, in_, rows, out_, in_, weight.template data_ptr<T>(), in_, add);
  }

  // Of all threads; may be called once.
  torch::Tensor weight() {
    torch::Tensor sum;
    for (torch::Tensor& part : weights_) {
      if (!part.defined()) continue;
      sum.defined() ? sum.add_(part) : sum = part;
      part = torch::Tensor();
    }
    return sum.defined() ? sum : torch::zeros({out_, in_}, options_);
  }
  torch::Tensor bias_sum() const { return bias_.total(); }

 private:
  int64_t in_, out_;
  torch::TensorOptions options_;
  std::vector<torch::Tensor> weights_;  // by threads
  ThreadSums<T> bias_;
};

}  // namespace asmlp::nn
