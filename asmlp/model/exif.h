// The names of what is done with EXIF orientation.
#pragma once

#include <array>
#include <utility>

#include "asmlp/enums.hpp"  // Exif

namespace asmlp {

constexpr auto names_of(Exif) {
  return std::array{std::pair{Exif::kApply, "apply"}, std::pair{Exif::kIgnore, "ignore"}};
}

}  // namespace asmlp
