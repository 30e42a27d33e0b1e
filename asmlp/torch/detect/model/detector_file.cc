#include "asmlp/torch/detect/model/detector_file.h"

namespace asmlp::detect {

DetectorFile load_detector(const std::filesystem::path& path, const DetectorLoadOptions& options) {
  return nn::load_dense_file<DetectorNet>(path, detector_of_file, options);
}

void save_detector(const std::filesystem::path& path, const DetectorSpec& spec,
                   const DetectorNetImpl& net) {
  nn::save_dense_file(path, spec, net);
}

}  // namespace asmlp::detect
