#include "asmlp/model/imagenet_classes.h"

#include <algorithm>

namespace asmlp {
namespace {

constexpr std::array<ImageNetClass, 1000> kImageNetClasses{{
#include "asmlp/model/imagenet_classes.inc"
}};

}  // namespace

const std::array<ImageNetClass, 1000>& imagenet_classes() { return kImageNetClasses; }

std::vector<std::string> imagenet_names() {
  std::vector<std::string> names;
  for (const ImageNetClass& known : kImageNetClasses) names.emplace_back(known.name);
  return names;
}

std::vector<std::pair<std::string, std::string>> imagenet_aliases() {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const ImageNetClass& known : kImageNetClasses) pairs.emplace_back(known.wnid, known.name);
  return pairs;
}

const ImageNetClass* imagenet_class_by_wnid(std::string_view wnid) {
  const auto found = std::ranges::lower_bound(
      kImageNetClasses, wnid, {},
      [](const ImageNetClass& known) { return std::string_view(known.wnid); });
  return found != kImageNetClasses.end() && found->wnid == wnid ? &*found : nullptr;
}

}  // namespace asmlp
