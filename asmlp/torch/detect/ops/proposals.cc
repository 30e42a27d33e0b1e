#include "asmlp/torch/detect/ops/proposals.h"

#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {

ProposedRois propose(const std::vector<torch::Tensor>& logits,
                     const std::vector<torch::Tensor>& deltas,
                     const std::vector<torch::Tensor>& anchors, const BoxCoder& coder,
                     ImageSize image, const ProposalConfig& config) {
  require(!logits.empty() && deltas.size() == logits.size() && anchors.size() == logits.size(),
          ErrorCode::kInvalidArgument,
          "propose: logits, deltas and anchors of {}, {} and {} levels, must be as many",
          logits.size(), deltas.size(), anchors.size());
  std::vector<torch::Tensor> dense;  // keeps what `levels` points to
  std::vector<RpnLevel> levels;
  const auto kept = [&](const torch::Tensor& tensor) { return dense.emplace_back(on_cpu(tensor)); };
  for (size_t level = 0; level < logits.size(); ++level) {
    const int64_t count = anchors[level].size(0);
    check_boxes("propose: anchors", anchors[level]);
    check_boxes("propose: deltas", deltas[level]);
    check_rows("propose: deltas", deltas[level], count);
    require(logits[level].dim() == 1 && logits[level].size(0) == count, ErrorCode::kInvalidArgument,
            "propose: logits are {}, must be one for each of {} anchors", shape_of(logits[level]),
            count);
    levels.push_back({floats_of(kept(logits[level])).data(), 1,
                      floats_of(kept(deltas[level])).data(), 4, boxes_in(kept(anchors[level]))});
  }
  ProposalMemory memory;
  Proposals proposals;
  propose(levels, 1, coder, image, config, on_torch_threads, memory, proposals);
  const torch::Device device = logits.front().device();
  return {tensor_of(proposals.boxes).to(device), tensor_of(proposals.scores).to(device)};
}

}  // namespace asmlp::detect
