// The check of a number against its documented range, with the message that all configs share.
#pragma once

#include "asmlp/core/error.h"

namespace asmlp {

// Error(kInvalidArgument) "<where>: <field> is <value>, must be between <low> and <high>" unless
// low <= value <= high (NaN never is).
inline void check_range(const char* field, double value, double low, double high,
                        const char* where = "config") {
  require(value >= low && value <= high, ErrorCode::kInvalidArgument,
          "{}: {} is {}, must be between {} and {}", where, field, value, low, high);
}

}  // namespace asmlp
