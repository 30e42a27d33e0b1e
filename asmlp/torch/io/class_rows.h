// The classes of a file against those of a network: which rows of the heads are taken.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp::nn {

// The classes of a network: names (empty, or one per class) and their number.
struct ClassList {
  std::vector<std::string> names;
  int count = 0;
};

// Which class of the file each class of the network is.
struct ClassMatch {
  std::vector<int> source;  // indices into the file's classes; empty: the heads start anew
  std::string note;         // a sentence for the user; "" when the classes are simply the same
};

// By name, where both have names: the heads are kept when the file has all of the network's
// classes, in any order and among others. If it lacks one, all rows start anew: rows that have been
// trained beside rows that have not would win over them. Without names by number: the same number
// means the same classes in the same order.
ClassMatch match_classes(const ClassList& file, const ClassList& network);

// Brings the tensors whose rows are classes to the network's classes, in place: a classifier's
// "head.*", a detector's "fc_cls" (the background is its last row), "fc_reg" (four rows per class,
// or four for all, which stay), and "conv_logits", a segmentor's "conv_seg". Without a match they
// are taken out. `file_classes` is the file's number. Returns how many were taken out.
size_t apply_match(TensorMap& tensors, const ClassMatch& match, int file_classes);

}  // namespace asmlp::nn
