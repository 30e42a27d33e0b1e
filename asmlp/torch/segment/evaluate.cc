#include "asmlp/torch/segment/evaluate.h"

#include <algorithm>

#include "asmlp/metrics/segmentation.h"
#include "asmlp/torch/segment/ade_source.h"

namespace asmlp::segment {

std::optional<SegmentationEvaluation> evaluate(SegmentorNetImpl& net,
                                               const data::BatchSource& source,
                                               const DenseInput& input,
                                               const PredictOptions& predicting, dist::World& world,
                                               const data::EvaluateOptions& options,
                                               const LabelsOf& each) {
  SegmentationMeter mine(net.config().num_classes);
  const auto done =
      data::evaluate_batches(net, source, world, options, [&](const data::Batch& batch) {
        for (int64_t i = 0; i < batch.size(); ++i) {
          const Image image = image_of(batch, i);
          const Image labels = predict(net, image, input, predicting);
          const data::ImageInfo& info = batch.infos[size_t(i)];
          const torch::Tensor map = info.label_map.contiguous();
          mine.add(labels.pixels, {map.data_ptr<uint8_t>(), static_cast<size_t>(map.numel())});
          if (!each) continue;
          Image truth(labels.height, labels.width, 1);
          std::copy_n(map.data_ptr<uint8_t>(), truth.pixels.size(), truth.pixels.begin());
          each(info.index, image, truth, labels);
        }
      });
  if (!done) return std::nullopt;
  const SegmentationMeter meter =
      SegmentationMeter::from_sums(data::sums_of_all(world, mine.sums()));
  return SegmentationEvaluation{
      *done,       meter.mean_iou(), meter.mean_accuracy(), meter.pixel_accuracy(),
      meter.iou(), meter.accuracy()};
}

}  // namespace asmlp::segment
