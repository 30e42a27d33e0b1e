// The masks of what a detector has found (He et al., ICCV 2017).
#include <algorithm>
#include <cmath>

#include "asmlp/engine/heads/detector_forward.h"

namespace asmlp {

using detect::Box;

namespace {

// In sixteen partial sums, which the compiler keeps in vectors.
float dot(const float* a, const float* b, int64_t n) {
  float sums[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int lane = 0; lane < 16; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (int lane = 0; i < n; ++i, ++lane) sums[lane] += a[i] * b[i];
  for (int half = 8; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

void DetectorForward::predict_masks() {
  profiled("mask_heads", 0, [&] {
    memory_.boxes.clear();
    memory_.labels.clear();
    memory_.first.assign(1, 0);
    for (int image = 0; image < images_at_work_; ++image) {
      const detect::Found& found = memory_.found[image];
      const std::array<float, 4> scale = detect::scale_of(sizes_[image]);
      for (const Box& box : found.boxes) {
        memory_.boxes.push_back(
            {box.x1 * scale[0], box.y1 * scale[1], box.x2 * scale[2], box.y2 * scale[3]});
      }
      memory_.labels.insert(memory_.labels.end(), found.labels.begin(), found.labels.end());
      memory_.first.push_back(std::ssize(memory_.boxes));
    }
  });
  mask_heads();
}

void DetectorForward::mask_heads() {
  const auto regions = std::ssize(memory_.boxes);
  memory_.masks.assign(regions * mask_pixels(), 0.0f);
  const int64_t cells = int64_t{config_.roi.mask_size} * config_.roi.mask_size;
  for (const MaskHeadWeights& head : weights_.mask_heads) {
    int64_t products = work(head.upsample, cells) + mask_pixels() * config_.mask_head.channels;
    for (const PackedConv& layer : head.convs) products += work(layer.matrix, cells);
    profiled("mask_heads", regions * products, [&] {
      for (int64_t begin = 0; begin < regions; begin += detector_.mask_group) {
        mask_group(head, begin, std::min(regions, begin + detector_.mask_group));
      }
    });
  }
}

void DetectorForward::mask_group(const MaskHeadWeights& head, int64_t begin, int64_t end) {
  const int bins = config_.roi.mask_size;
  const HeadMap map = through(head.convs, pool(begin, end, bins));
  // A cell becomes four pixels, of which only the logit of the object's class is wanted.
  const PackedMatrix& upsample = head.upsample;
  const int64_t ld = upsample.panels() * upsample.tile_cols(), cells = int64_t{bins} * bins;
  const int64_t channels = config_.mask_head.channels;
  const float stages = static_cast<float>(weights_.mask_heads.size());
  whole_rows(upsample, map.rows(), map.stride + ld, [&](const GridTask& task) {
    auto* hidden = reinterpret_cast<float*>(task.scratch.hidden);
    second_product(upsample, task, map.row(task.rows.begin), map.stride, hidden, ld);
    relu(upsample, task, hidden, ld);
    for (int64_t r = task.rows.begin; r < task.rows.end; ++r, hidden += ld) {
      const int64_t region = begin + r / cells, y = r % cells / bins, x = r % bins;
      const int label = memory_.labels[region];
      float* mask = memory_.masks.data() + region * mask_pixels();
      for (int64_t position = 0; position < 4; ++position) {
        const float logit =
            dot(hidden + position * channels, head.logits + label * channels, channels) +
            head.logits_bias[label];
        mask[(2 * y + position / 2) * 2 * bins + 2 * x + position % 2] += sigmoid(logit) / stages;
      }
    }
  });
}

void DetectorForward::paste(std::vector<std::vector<detect::Detection>>& detections) {
  profiled("paste", 0, [&] {
    const int side = 2 * config_.roi.mask_size;
    const auto objects = static_cast<int>(memory_.boxes.size());
    plan_.pool.run(objects, [&](int object, int thread) {
      const int64_t image = image_of(object);
      const int64_t i = object - memory_.first[image];
      const Box& box = memory_.found[image].boxes[i];
      const detect::ImageSize size = sizes_[image].original;
      MaskRle& mask = detections[image][i].mask;
      if (box.y2 == 0 && !is_cascade(config_.kind)) {  // as in the authors' code
        mask = {static_cast<int>(size.height),
                static_cast<int>(size.width),
                {static_cast<uint32_t>(size.height * size.width)}};
        return;
      }
      mask = detect::paste_mask(memory_.masks.data() + object * mask_pixels(), side, side, box,
                                size, static_cast<float>(config_.test.mask_threshold),
                                memory_.paste[thread]);
    });
  });
}

}  // namespace asmlp
