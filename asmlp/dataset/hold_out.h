// Which samples of a training split are held out for validation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace asmlp {

// A sample, as the choice sees it.
struct HoldOutSample {
  std::string name;  // decides by its hash
  int stratum = 0;   // e.g. the class: every stratum gives its share
};

// True for about `fraction`, in (0, 1), of the samples: for the same share of every stratum, to a
// whole sample. A function of names, strata and `seed` only, not of the order of the samples, as
// long as names differ. The last sample of a stratum is not held out. At least one sample is held
// out; Error (kInvalidArgument), naming `what`, when there are fewer than two.
std::vector<bool> hold_out(std::span<const HoldOutSample> samples, double fraction, uint64_t seed,
                           const std::string& what);

}  // namespace asmlp
