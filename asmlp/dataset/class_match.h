// Which class of a model each class of a data set is.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace asmlp {

// Class names of one side, with the words by which messages call it.
struct ClassSide {
  std::string who;                 // "the data imagenette/val", "the model x.safetensors"
  std::vector<std::string> names;  // in the order of the numbers; empty: not known
  int count = 0;                   // of the classes; names.size() where there are names
};

// The name without case and without what divides words: blanks, '_', '-', and '/' (which no folder's
// name has). Names of one form are taken for the same where that is unambiguous.
std::string plain_class_name(const std::string& name);

struct ClassMatch {
  std::vector<int> places;         // per class of the data, the model's number
  std::vector<std::string> notes;  // what had to be assumed, a sentence each
  // Whether the model has classes that the data has not.
  bool subset = false;
};

// Two names of one class: an identifier and the name in words ("n01440764", "tench").
using ClassAlias = std::pair<std::string, std::string>;

// "a, b and 7 more": the names that `others` has in no spelling that the rules below take for the
// same; "none" where it has all. For messages.
std::string only_in(const std::vector<std::string>& names, const std::vector<std::string>& others);

// The rules, the first that fits all classes of the data:
// - the model has no names: by number, where both have as many classes (noted);
// - the data has no names: likewise;
// - every name is one of the model's: exactly, else ignoring case and whether words are divided by
//   '_', '-', '/' or a space, else by the first of several names that commas divide ("tench, Tinca
//   tinca"), else through `aliases` in either direction (all but the exact one are noted). The
//   order does not matter, and the model may have more classes (noted);
// - one side's names are plain numbers, 0..n-1 or 1..n, and the other has n names: by the numbers'
//   values (noted).
// Everything else is an Error(kMismatch) that lists what only the data and what only the model has.
// A name that several classes of the model have is matched only if the data has it as often.
ClassMatch match_classes(const ClassSide& data, const ClassSide& model,
                         std::span<const ClassAlias> aliases = {});

}  // namespace asmlp
