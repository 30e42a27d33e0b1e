// The images that `asmlp quantize` looks at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "asmlp/cli/options/image_options.h"
#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp::cli {

struct CalibrationImages {
  std::vector<Image> images;  // as the network sees them, 8 bits per channel
  // The model's class of each; empty where the data has no classes, or others than the model's.
  std::vector<int> targets;
  std::vector<std::string> failures;  // images that could not be read
  std::vector<std::string> notes;     // what was assumed or left out, a sentence each
  std::string split;                  // of a data set; "" for plain images
  int64_t available = 0;              // images that there are
};

// At most `wanted` images of `data`, spread evenly: a data set of classes (its split `split`; with
// "" that for training, else what there is), or what find_images finds. Read and preprocessed on
// `threads`; `read` is told the number of images that are done, and of how many, before the first
// batch and after each.
// Error(kNotFound) when there is no image; kBadFormat when none can be read.
CalibrationImages read_calibration_images(
    const std::vector<std::string>& data, const std::string& split, const ModelSpec& spec,
    const ImageOptions& options, int64_t wanted, int threads,
    const std::function<void(int64_t done, int64_t total)>& read);

}  // namespace asmlp::cli
