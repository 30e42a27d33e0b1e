#include "asmlp/cli/bench/bench_precision.h"

#include <fmt/format.h>

#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

[[noreturn]] void fail_unknown(Precision precision) {
  fail(ErrorCode::kInvalidArgument, "precision number {} is unknown", static_cast<int>(precision));
}

}  // namespace

double allowed_error(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
    case Precision::kBf16x3:
      return 1e-4;
    case Precision::kBf16:
    case Precision::kInt8:  // of int8's own reference: a last bit before a rounding moves a whole
                            // step
      return 3e-2;
  }
  fail_unknown(precision);
}

int bytes_per_weight(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
    case Precision::kBf16x3:  // two parts of two bytes
      return 4;
    case Precision::kBf16:
      return 2;
    case Precision::kInt8:
      return 1;
  }
  fail_unknown(precision);
}

}  // namespace asmlp::cli
