#include "asmlp/torch/segment/evaluate.h"

#include <algorithm>
#include <chrono>

#include "asmlp/metrics/segmentation.h"
#include "asmlp/torch/segment/ade_source.h"

namespace asmlp::segment {
namespace {

// What one process knows at the end.
struct Part {
  SegmentationMeter meter;
  int64_t images = 0, bad_samples = 0;
  bool stopped = false;
};

Part evaluate_part(SegmentorNetImpl& net, const data::BatchSource& source,
                   const DenseInput& input, const SegmentationEvaluationOptions& options) {
  Part part{SegmentationMeter(net.config().num_classes)};
  data::BatchStream stream = source.start(0);
  while (!part.stopped) {
    const std::optional<data::Batch> batch = stream.next();
    if (!batch) break;
    part.bad_samples += batch->bad_samples;
    if (options.on_bad) std::ranges::for_each(batch->bad, options.on_bad);
    for (size_t i = 0; i < batch->infos.size(); ++i) {
      const Image labels =
          predict(net, picture(*batch, static_cast<int64_t>(i)), input, options.predict);
      const torch::Tensor map = batch->infos[i].label_map.contiguous();
      part.meter.add(labels.pixels, {map.data_ptr<uint8_t>(), static_cast<size_t>(map.numel())});
      ++part.images;
    }
    part.stopped = options.progress && !options.progress(part.images);
  }
  return part;
}

}  // namespace

std::optional<SegmentationEvaluation> evaluate(SegmentorNetImpl& net,
                                               const data::BatchSource& source,
                                               const DenseInput& input, dist::World& world,
                                               const SegmentationEvaluationOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const bool was_training = net.is_training();
  net.eval();
  const Part part = evaluate_part(net, source, input, options);
  net.train(was_training);

  std::vector<double> mine = part.meter.sums();
  const size_t counts = mine.size();
  mine.push_back(static_cast<double>(part.images));
  mine.push_back(static_cast<double>(part.bad_samples));
  mine.push_back(part.stopped ? 1 : 0);
  torch::Tensor sums = torch::tensor(mine, torch::kDouble);
  world.all_reduce(sums);
  const double* all = sums.data_ptr<double>();
  if (all[counts + 2] > 0) return std::nullopt;
  const SegmentationMeter meter = SegmentationMeter::from_sums({all, counts});
  SegmentationEvaluation result;
  result.mean_iou = meter.mean_iou();
  result.mean_accuracy = meter.mean_accuracy();
  result.pixel_accuracy = meter.pixel_accuracy();
  result.iou = meter.iou();
  result.accuracy = meter.accuracy();
  result.images = static_cast<int64_t>(all[counts]);
  result.bad_samples = static_cast<int64_t>(all[counts + 1]);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace asmlp::segment
