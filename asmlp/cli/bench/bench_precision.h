// What differs between the precisions for `asmlp bench`. A new Precision needs its line in each
// switch here, and nothing else in this folder.
#pragma once

#include <string>

#include "asmlp/core/cpu.h"

namespace asmlp::cli {

// Largest |logit - reference| that verification accepts, relative to the largest |reference|.
double allowed_error(Precision precision);

// Bytes that one weight of a matrix takes.
int bytes_per_weight(Precision precision);

// How many products of `instruction` (KernelSet::instruction) one multiply-add of the model is: 3
// for bf16x3 where bf16 parts are multiplied, 1 otherwise. The peak of a row is the instruction's
// divided by this.
int products_per_multiply_add(Precision precision, const std::string& instruction);

}  // namespace asmlp::cli
