#include "asmlp/torch/segment/predict.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/metrics/segmentation.h"

namespace asmlp::segment {
namespace {

// Logits of a band: 16 MB, of which a few are alive at a time.
constexpr int64_t kBandValues = int64_t{1} << 22;

struct View {
  WindowLogits logits;
  bool mirrored = false;
};

CvSize view_size(const Image& picture, const DenseInput& input, double ratio, bool full_size) {
  if (full_size) {
    const auto scaled = [&](int side) {
      return std::max(1, static_cast<int>(std::lround(side * ratio)));
    };
    return {scaled(picture.height), scaled(picture.width)};
  }
  // Whole pixels, as mmseg has them.
  return fitted_size(picture.height, picture.width,
                     std::max(1, static_cast<int>(input.short_side * ratio)),
                     std::max(1, static_cast<int>(input.long_side * ratio)));
}

std::vector<View> views_of(SegmentorNetImpl& net, const Image& picture, const DenseInput& input,
                           const PredictOptions& options) {
  std::vector<View> views;
  for (const double ratio : kTtaScales) {
    if (!options.multi_scale && ratio != 1) continue;
    const Image resized =
        resize_bilinear(picture, view_size(picture, input, ratio, options.full_size));
    views.push_back({WindowLogits(net, resized, input, options.sliding), false});
    if (!options.flip) continue;
    views.push_back({WindowLogits(net, flip_horizontal(resized), input, options.sliding), true});
  }
  return views;
}

// The view's logits for the rows `band` of the picture, mirrored as the view is.
torch::Tensor rows_of(View& view, const Image& picture, Rows band) {
  const int64_t height = view.logits.height();
  const Rows needed = source_rows(height, picture.height, band);
  return resized_rows(view.logits.rows(needed), needed.first,
                      {height, picture.height, picture.width}, band);
}

// Where each pixel's largest of C x n values is; `out` has n places.
void argmax(const torch::Tensor& values, uint8_t* out) {
  const torch::Tensor contiguous = values.contiguous();
  const float* planes = contiguous.data_ptr<float>();
  const int64_t classes = values.size(0), pixels = values.numel() / classes;
  constexpr int64_t kBlock = 1024;
  at::parallel_for(0, (pixels + kBlock - 1) / kBlock, 1, [&](int64_t first, int64_t end) {
    float best[kBlock];
    for (int64_t block = first; block < end; ++block) {
      const int64_t at = block * kBlock, count = std::min(kBlock, pixels - at);
      std::copy_n(planes + at, count, best);
      std::fill_n(out + at, count, uint8_t{0});
      for (int64_t c = 1; c < classes; ++c) {
        const float* plane = planes + c * pixels + at;
        for (int64_t i = 0; i < count; ++i) {
          const bool better = plane[i] > best[i];
          best[i] = better ? plane[i] : best[i];
          out[at + i] = better ? static_cast<uint8_t>(c) : out[at + i];
        }
      }
    }
  });
}

}  // namespace

Image predict(SegmentorNetImpl& net, const Image& picture, const DenseInput& input,
              const PredictOptions& options) {
  const int64_t classes = net.config().num_classes;
  require(picture.height > 0 && picture.width > 0, ErrorCode::kInvalidArgument,
          "a picture of {} x {} has no pixels", picture.height, picture.width);
  require(classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{} classes: label maps hold at most {}", classes, kIgnoredLabel);
  const torch::NoGradGuard no_grad;
  std::vector<View> views = views_of(net, picture, input, options);
  Image labels(picture.height, picture.width, 1);
  const int64_t rows = std::max<int64_t>(1, kBandValues / (classes * picture.width));
  for (int64_t first = 0; first < picture.height; first += rows) {
    const Rows band{first, std::min<int64_t>(first + rows, picture.height)};
    torch::Tensor sum;
    for (View& view : views) {
      torch::Tensor values = rows_of(view, picture, band);
      if (views.size() > 1) values = values.softmax(0);
      if (view.mirrored) values = values.flip({2});
      sum = sum.defined() ? sum.add_(values) : values;
    }
    argmax(sum, labels.row(static_cast<int>(first)));
  }
  return labels;
}

}  // namespace asmlp::segment
