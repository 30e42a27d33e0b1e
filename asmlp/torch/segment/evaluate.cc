#include "asmlp/torch/segment/evaluate.h"

#include "asmlp/torch/segment/ade_source.h"

namespace asmlp::segment {

std::optional<SegmentationEvaluation> evaluate(SegmentorNetImpl& net,
                                               const data::BatchSource& source,
                                               const DenseInput& input,
                                               const PredictOptions& predicting, dist::World& world,
                                               const data::EvaluateOptions& options,
                                               const ImageScores& on_image) {
  SegmentationMeter mine(net.config().num_classes);
  const auto done =
      data::evaluate_batches(net, source, world, options, [&](const data::Batch& batch) {
        for (int64_t i = 0; i < batch.size(); ++i) {
          const Image labels = predict(net, image_of(batch, i), input, predicting);
          const torch::Tensor map = batch.infos[size_t(i)].label_map.contiguous();
          SegmentationMeter image(net.config().num_classes);
          image.add(labels.pixels, {map.data_ptr<uint8_t>(), static_cast<size_t>(map.numel())});
          mine.merge(image);
          if (on_image) on_image(batch.infos[size_t(i)].index, image);
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
