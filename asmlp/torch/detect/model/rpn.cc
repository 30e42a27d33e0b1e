#include "asmlp/torch/detect/model/rpn.h"

#include "asmlp/torch/detect/roi/roi_extractor.h"

namespace asmlp::detect {

std::vector<torch::Tensor> anchors_of(const DetectorConfig& config, const RpnOutput& output) {
  require(!output.logits.empty(), ErrorCode::kInvalidArgument, "anchors_of: there is no map");
  std::vector<MapSize> sizes;
  for (const auto& map : output.logits) sizes.push_back({int(map.size(2)), int(map.size(3))});
  return make_anchors(config.rpn.anchors, sizes, output.logits.front().device());
}

std::vector<ProposedRois> propose_all(const DetectorConfig& config, const RpnOutput& output,
                                      const std::vector<ImageSize>& images,
                                      const ProposalConfig& options) {
  const torch::NoGradGuard no_grad;
  const auto anchors = anchors_of(config, output);
  require(static_cast<int64_t>(images.size()) == output.logits.front().size(0),
          ErrorCode::kInvalidArgument, "propose_all: {} sizes for a batch of {} images",
          images.size(), output.logits.front().size(0));
  std::vector<torch::Tensor> logits, deltas;
  for (size_t level = 0; level < anchors.size(); ++level) {
    logits.push_back(flatten_map(output.logits[level], 1).squeeze(2));
    deltas.push_back(flatten_map(output.deltas[level], 4));
  }
  const auto of_image = [](const std::vector<torch::Tensor>& levels, size_t image) {
    std::vector<torch::Tensor> rows;
    for (const auto& level : levels) rows.push_back(level[static_cast<int64_t>(image)]);
    return rows;
  };
  const BoxCoder coder = box_coder(config, config.rpn.box_stds);
  std::vector<ProposedRois> proposals;
  for (size_t image = 0; image < images.size(); ++image) {
    proposals.push_back(propose(of_image(logits, image), of_image(deltas, image), anchors, coder,
                                images[image], options));
  }
  return proposals;
}

torch::Tensor pool_rois(const DetectorConfig& config, const std::vector<torch::Tensor>& pyramid,
                        const torch::Tensor& rois, int64_t bins) {
  const auto levels = static_cast<size_t>(config.roi.levels);
  require(pyramid.size() >= levels, ErrorCode::kInvalidArgument,
          "pool_rois: {} maps, the config pools from {}", pyramid.size(), levels);
  std::vector<torch::Tensor> maps;
  for (size_t level = 0; level < levels; ++level) {
    maps.push_back(pyramid[level].contiguous(torch::MemoryFormat::ChannelsLast));
  }
  const auto& strides = config.rpn.anchors.strides;
  return extract_rois(maps, {strides.begin(), strides.begin() + config.roi.levels}, rois,
                      {bins, bins, config.roi.sampling_ratio}, config.roi.finest_size);
}

}  // namespace asmlp::detect
