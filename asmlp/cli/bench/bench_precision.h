// What differs between the precisions for `asmlp bench`. A new Precision needs its line in each
// switch here, and nothing else in this folder.
#pragma once

#include "asmlp/core/cpu.h"

namespace asmlp::cli {

// Largest |logit - reference| that verification accepts, relative to the largest |reference|.
double allowed_error(Precision precision);

// Bytes that one weight of a matrix takes.
int bytes_per_weight(Precision precision);

}  // namespace asmlp::cli
