// Detectors as files.
#pragma once

#include <filesystem>

#include "asmlp/torch/detect/model/detector_net.h"
#include "asmlp/torch/io/dense_file.h"

namespace asmlp::detect {

using DetectorLoadOptions = DenseLoadOptions<DetectorSpec>;
using DetectorFile = nn::DenseFile<DetectorSpec, DetectorNet>;

// Reads what save_detector wrote, or an official checkpoint (.pth with "meta" and "state_dict"),
// into a new network in evaluation mode. What must be said with an official file, and which errors
// there are, stands in weights/dense_file.h. To start from a part of a file's tensors, use
// load_state or load_backbone.
DetectorFile load_detector(const std::filesystem::path& path,
                           const DetectorLoadOptions& options = {});

// Writes a safetensors file atomically: parameters and buffers under the official names, and
// __metadata__.asmlp = to_json(spec). Error(kInvalidArgument) unless spec.config is the
// network's.
void save_detector(const std::filesystem::path& path, const DetectorSpec& spec,
                   const DetectorNetImpl& net);

}  // namespace asmlp::detect
