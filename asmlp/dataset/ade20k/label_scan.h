// What the label maps of a data set hold, looked at before any work is done with them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "asmlp/dataset/ade20k/ade20k.h"

namespace asmlp {

struct LabelScan {
  int64_t maps = 0;                   // read
  int64_t unreadable = 0;             // passed over: who needs them names them
  std::array<int64_t, 256> pixels{};  // per label as it is in the files

  // Of the labels 1..254: the highest that occurs, 0 where none does.
  int highest() const;
  // Pixels with one of them.
  int64_t labeled() const;
  // Of a scan with a number of classes: the maps with a label above it, and the first such label
  // with its file and place.
  int64_t wrong_maps = 0;
  std::string first_wrong;
};

// Reads the label maps of the split on `threads` threads (0: all cores): all, or `most` of them
// spread evenly. Labels above `classes` are wrong; 0 takes every label.
LabelScan scan_labels(const Ade20k& data, int classes, int threads, int64_t most = 0);

// Error(kBadFormat) when labels are wrong: how many maps have them, and the first.
void check_labels(const LabelScan& scan, const Ade20k& data);

}  // namespace asmlp
