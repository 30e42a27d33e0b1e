// What the options of loading a model and of loading its weights have in common.
#pragma once

#include <optional>
#include <string>

#include "asmlp/model/config.h"

namespace asmlp {

// The shift size that a caller names by its two sides, of which one alone sets both; nothing for
// 0 and 0. Error(kInvalidArgument) outside 1..255.
std::optional<ShiftSize> chosen_shift(int shift_h, int shift_w);

// The sentence for a shift size that nobody has said.
std::string assumed_shift_note(const ShiftSize& shift);

}  // namespace asmlp
