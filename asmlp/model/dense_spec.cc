#include "asmlp/model/dense_spec.h"

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"

namespace asmlp {

void validate(const DenseInput& input, int channels) {
  check_ranges(input, "preprocessing");
  check_range("long_side", input.long_side, input.short_side, 1 << 14, "preprocessing");
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

void check_class_names(const std::vector<std::string>& classes, int num_classes) {
  require(classes.empty() || static_cast<int>(classes.size()) == num_classes,
          ErrorCode::kInvalidArgument,
          "classes: {} names for {} classes (num_classes); give one name per class or none",
          classes.size(), num_classes);
}

void check_palette(const std::vector<std::string>& palette, int num_classes) {
  require(palette.empty() || static_cast<int>(palette.size()) == num_classes,
          ErrorCode::kInvalidArgument,
          "palette: {} colors for {} classes (num_classes); give one color per class or none",
          palette.size(), num_classes);
  for (const std::string& color : palette) {
    require(color.size() == 7 && color[0] == '#' &&
                color.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos,
            ErrorCode::kInvalidArgument, "palette: '{}' is no color; expected \"#rrggbb\"", color);
  }
}

}  // namespace asmlp
