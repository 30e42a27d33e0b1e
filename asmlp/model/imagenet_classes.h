// ImageNet's 1000 classes: for classifiers that do not name theirs.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asmlp {

struct ImageNetClass {
  const char* wnid;  // WordNet's id of the synset, "n01440764": the name of its folder
  const char* name;  // "tench"
};

// In the order of the outputs of every published classifier.
const std::array<ImageNetClass, 1000>& imagenet_classes();

// Their names.
std::vector<std::string> imagenet_names();

// {"n01440764", "tench"} and so on: folders are often named by the ids, models by the names.
std::vector<std::pair<std::string, std::string>> imagenet_aliases();

// The class of a WordNet id; nullptr for every other text.
const ImageNetClass* imagenet_class_by_wnid(std::string_view wnid);

}  // namespace asmlp
