// What a struct's `visit` may say of a field besides its name.
#pragma once

#include <limits>

namespace asmlp {

struct FieldInfo {
  // Of a number, or of each number in a list: low <= value <= high, above < value < below
  // (check_ranges).
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  double above = -std::numeric_limits<double>::infinity();
  double below = std::numeric_limits<double>::infinity();
  const char* alias = nullptr;  // also read under this name; never written
};

}  // namespace asmlp
