// Segmentors as files.
#pragma once

#include <filesystem>

#include "asmlp/torch/io/dense_file.h"
#include "asmlp/torch/segment/segmentor_net.h"

namespace asmlp::segment {

using SegmentorLoadOptions = DenseLoadOptions<SegmentorSpec>;
using SegmentorFile = nn::DenseFile<SegmentorSpec, SegmentorNet>;

// Reads what save_segmentor wrote, or an official checkpoint (.pth with "meta" and "state_dict"),
// into a new network in evaluation mode. What must be said with an official file, and which errors
// there are, stands in weights/dense_file.h. To start from a part of a file's tensors, use
// load_state or load_backbone.
SegmentorFile load_segmentor(const std::filesystem::path& path,
                             const SegmentorLoadOptions& options = {});

// Writes a safetensors file atomically: parameters and buffers under the official names, and
// __metadata__.asmlp = to_json(spec). Error(kInvalidArgument) unless spec.config is the
// network's.
void save_segmentor(const std::filesystem::path& path, const SegmentorSpec& spec,
                    const SegmentorNetImpl& net);

}  // namespace asmlp::segment
