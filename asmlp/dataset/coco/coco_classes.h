// The classes of a model and the categories of an annotation file: which is which, by name.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "asmlp/dataset/coco/coco.h"

namespace asmlp {

// The classes that a model trained on these annotations has: the names of the categories by rising
// id. Not of those that only are the parent of others: without annotations, and named as their
// supercategory (Roboflow's exports have one with the id 0).
std::vector<std::string> training_classes(const CocoAnnotations& annotations);

// Brings annotations to a model's labels: afterwards categories[k] is the category of class k, with
// the id of the file, and every label is that of the class of its name. A category without
// annotations that no class is named after is dropped; a class that the file lacks gets a category
// that is not in_file. Names are equal, or else equal but for case and blanks, '_' and '-', where
// that is unique. A model without names (`classes` empty) is matched by rising id, when its number
// of classes `count` fits: all categories, those that are no parents only, or those with
// annotations. Returns what a user should know. Error (kMismatch), naming `what` and both lists,
// when annotations are of a category that the model does not have.
std::vector<std::string> match_categories(CocoAnnotations& annotations,
                                          const std::vector<std::string>& classes, int count,
                                          const std::string& what);

}  // namespace asmlp
