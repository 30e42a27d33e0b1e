#include "asmlp/torch/detect/evaluate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "asmlp/core/thread_pool.h"

namespace asmlp::detect {
namespace {

// Detections on their way between processes of one program: plain bytes.
class Packet {
 public:
  Packet() = default;
  explicit Packet(std::string bytes) : bytes_(std::move(bytes)) {}

  void add(const CocoDetection& d) {
    append(&d.image, 1), append(&d.label, 1), append(&d.score, 1);
    append(d.box.data(), d.box.size());
    append(&d.mask.height, 1), append(&d.mask.width, 1);
    const size_t runs = d.mask.counts.size();
    append(&runs, 1), append(d.mask.counts.data(), runs);
  }
  bool empty() const { return at_ == bytes_.size(); }
  CocoDetection take() {
    CocoDetection d;
    extract(&d.image, 1), extract(&d.label, 1), extract(&d.score, 1);
    extract(d.box.data(), d.box.size());
    extract(&d.mask.height, 1), extract(&d.mask.width, 1);
    size_t runs = 0;
    extract(&runs, 1);
    d.mask.counts.resize(runs);
    extract(d.mask.counts.data(), runs);
    return d;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <typename T>
  void append(const T* values, size_t count) {
    bytes_.append(reinterpret_cast<const char*>(values), count * sizeof(T));
  }
  template <typename T>
  void extract(T* values, size_t count) {
    std::memcpy(values, bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
  }

  std::string bytes_;
  size_t at_ = 0;
};

// Of all processes, in an order that does not depend on their number.
std::vector<CocoDetection> gathered(dist::World& world, std::vector<CocoDetection> mine) {
  if (world.size() > 1) {
    Packet packet;
    for (const CocoDetection& d : mine) packet.add(d);
    mine.clear();
    for (std::string& bytes : dist::all_gather(world, packet.bytes())) {
      Packet theirs(std::move(bytes));
      while (!theirs.empty()) mine.push_back(theirs.take());
    }
  }
  std::ranges::stable_sort(mine, {}, &CocoDetection::image);
  return mine;
}

// Rank 0 computes, the others are told.
CocoScores score(CocoTask task, std::span<const CocoDetection> detections,
                 const CocoAnnotations& annotations, dist::World& world) {
  const auto categories = static_cast<int>(annotations.categories.size());
  CocoScores s;
  if (world.rank() == 0) {
    ThreadPool pool(at::get_num_threads());
    s = evaluate_coco(task, static_cast<int>(annotations.images.size()), categories,
                      coco_ground_truth(annotations, task, pool), detections, pool);
  }
  s.category_ap.resize(static_cast<size_t>(categories));
  double* const values[]{&s.ap,  &s.ap50, &s.ap75,  &s.ap_small, &s.ap_medium, &s.ap_large,
                         &s.ar1, &s.ar10, &s.ar100, &s.ar_small, &s.ar_medium, &s.ar_large};
  torch::Tensor numbers = torch::empty({12 + categories}, torch::kDouble);
  double* number = numbers.data_ptr<double>();
  for (int i = 0; i < 12; ++i) number[i] = *values[i];
  std::ranges::copy(s.category_ap, number + 12);
  world.broadcast({numbers});
  for (int i = 0; i < 12; ++i) *values[i] = number[i];
  std::copy_n(number + 12, categories, s.category_ap.begin());
  return s;
}

}  // namespace

void check_categories(const DetectorConfig& config, const CocoAnnotations& annotations) {
  require(config.num_classes == static_cast<int>(annotations.categories.size()),
          ErrorCode::kMismatch,
          "the detector has {} classes, the annotations have {} categories; do they belong "
          "together?",
          config.num_classes, annotations.categories.size());
}

std::optional<CocoEvaluation> evaluate(DetectorNetImpl& net, const CocoAnnotations& annotations,
                                       const data::BatchSource& source, dist::World& world,
                                       const data::EvaluateOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  check_categories(net.config(), annotations);
  std::vector<CocoDetection> mine;
  const auto done =
      data::evaluate_batches(net, source, world, options, [&](const data::Batch& batch) {
        auto found = detect(net, batch.images, batch.infos);
        for (size_t i = 0; i < found.size(); ++i) {
          for (Detection& d : found[i]) {
            mine.push_back(to_coco(std::move(d), static_cast<int>(batch.infos[i].index)));
          }
        }
      });
  if (!done) return std::nullopt;
  CocoEvaluation result{*done, {}, {}, gathered(world, std::move(mine))};
  result.box = score(CocoTask::kBox, result.detections, annotations, world);
  if (has_masks(net.config().kind) && has_masks(annotations)) {
    result.mask = score(CocoTask::kMask, result.detections, annotations, world);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace asmlp::detect
