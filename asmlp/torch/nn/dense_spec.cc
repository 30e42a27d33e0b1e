#include "asmlp/torch/nn/dense_spec.h"

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::nn {

void check_range(const char* field, double value, double least, double most) {
  require(value >= least && value <= most, ErrorCode::kInvalidArgument,
          "config: {} is {}, must be between {} and {}", field, value, least, most);
}

void validate(const DenseInput& input, int channels) {
  constexpr int kLongest = 1 << 14;
  check_range("preprocessing.short_side", input.short_side, 1, kLongest);
  check_range("preprocessing.long_side", input.long_side, input.short_side, kLongest);
  check_range("preprocessing.pad_multiple", input.pad_multiple, 1, 1024);
  for (const auto& [field, values] :
       {std::pair{"mean", &input.mean}, std::pair{"std", &input.std}}) {
    require(static_cast<int>(values->size()) == channels, ErrorCode::kInvalidArgument,
            "preprocessing: {} has {} values, must have one per input channel (in_chans is {})",
            field, values->size(), channels);
    for (const double value : *values) {
      require(std::isfinite(value) && (values == &input.mean || value > 0),
              ErrorCode::kInvalidArgument, "preprocessing: {} holds {}, must be finite{}", field,
              value, values == &input.mean ? "" : " and positive");
    }
  }
}

}  // namespace asmlp::nn
