#include "asmlp/torch/segment/segmentor_file.h"

namespace asmlp::segment {

SegmentorFile load_segmentor(const std::filesystem::path& path,
                             const SegmentorLoadOptions& options) {
  return nn::load_dense_file<SegmentorNet>(path, segmentor_of_file, options);
}

void save_segmentor(const std::filesystem::path& path, const SegmentorSpec& spec,
                    const SegmentorNetImpl& net) {
  nn::save_dense_file(path, spec, net);
}

}  // namespace asmlp::segment
