#include "asmlp/dataset/coco/coco_classes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/dataset/class_match.h"

namespace asmlp {
namespace {

constexpr int kNone = -1;

// Per category, whether any annotation is of it.
std::vector<bool> used_categories(const CocoAnnotations& annotations) {
  std::vector<bool> used(annotations.categories.size());
  for (const CocoAnnotation& a : annotations.annotations) used[static_cast<size_t>(a.label)] = true;
  return used;
}

// Per category, whether it only groups others.
std::vector<bool> mere_parents(const CocoAnnotations& annotations) {
  const std::vector<bool> used = used_categories(annotations);
  const std::vector<CocoCategory>& categories = annotations.categories;
  std::vector<bool> parents(categories.size());
  for (size_t k = 0; k < categories.size(); ++k) {
    if (used[k]) continue;
    for (size_t other = 0; other < categories.size(); ++other) {
      if (other != k && categories[other].supercategory == categories[k].name) parents[k] = true;
    }
  }
  return parents;
}

// "'a', 'b' and 7 more".
std::string shortened(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  if (names.empty()) return "none";
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    shown.push_back("'" + names[i] + "'");
  }
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

// The class of each category; kNone for those without.
using ClassPlaces = std::vector<int>;

class NameMatch {
 public:
  NameMatch(const CocoAnnotations& annotations, const std::vector<std::string>& classes)
      : annotations_(annotations),
        classes_(classes),
        used_(used_categories(annotations)),
        places_(annotations.categories.size(), kNone),
        taken_(classes.size()) {
    // Where two categories have one name, the one with annotations is meant.
    match_equal(true);
    match_equal(false);
    match_plain_names();
  }

  ClassPlaces take(const std::string& what, std::vector<std::string>& notes) const {
    std::vector<std::string> strangers, missing;
    for (size_t k = 0; k < places_.size(); ++k) {
      if (used_[k] && places_[k] == kNone) strangers.push_back(annotations_.categories[k].name);
    }
    for (size_t c = 0; c < classes_.size(); ++c) {
      if (!taken_[c]) missing.push_back(classes_[c]);
    }
    require(strangers.empty(), ErrorCode::kMismatch,
            "{}: the categories are matched to the model's classes by name, and {} of those with "
            "annotations {} no class of the model; only in the file: {}; only in the model: {} "
            "(--class-map FILE gives the model's classes other names)",
            what, strangers.size(), strangers.size() == 1 ? "is" : "are", shortened(strangers),
            shortened(missing));
    if (!alike_.empty()) {
      notes.push_back(fmt::format("{}: taken for the same class: {}", what, shortened(alike_)));
    }
    if (!missing.empty()) {
      notes.push_back(
          fmt::format("{}: {} of the model's {} classes {} not in the file, and detections of them "
                      "do not count: {}",
                      what, missing.size(), classes_.size(), missing.size() == 1 ? "is" : "are",
                      shortened(missing)));
    }
    return places_;
  }

 private:
  void assign(size_t category, size_t place) {
    places_[category] = static_cast<int>(place);
    taken_[place] = true;
  }

  // Of several equal names the first takes the first.
  void match_equal(bool used) {
    std::multimap<std::string, size_t> open;
    for (size_t c = 0; c < classes_.size(); ++c) {
      if (!taken_[c]) open.emplace(classes_[c], c);
    }
    for (size_t k = 0; k < places_.size(); ++k) {
      if (places_[k] != kNone || used_[k] != used) continue;
      const auto found = open.lower_bound(annotations_.categories[k].name);
      if (found == open.end() || found->first != annotations_.categories[k].name) continue;
      assign(k, found->second);
      open.erase(found);
    }
  }

  void match_plain_names() {
    std::map<std::string, std::vector<size_t>> open, wanted;
    for (size_t c = 0; c < classes_.size(); ++c) {
      if (!taken_[c]) open[plain_class_name(classes_[c])].push_back(c);
    }
    for (size_t k = 0; k < places_.size(); ++k) {
      if (places_[k] == kNone)
        wanted[plain_class_name(annotations_.categories[k].name)].push_back(k);
    }
    for (auto& [name, categories] : wanted) {
      const auto found = open.find(name);
      if (found == open.end() || found->second.size() != 1) continue;
      // Of several the one with annotations, if that is one.
      if (categories.size() > 1) {
        std::erase_if(categories, [&](size_t k) { return !used_[k]; });
      }
      if (categories.size() != 1) continue;
      assign(categories[0], found->second[0]);
      alike_.push_back(fmt::format("{}' and '{}", annotations_.categories[categories[0]].name,
                                   classes_[found->second[0]]));
    }
  }

  const CocoAnnotations& annotations_;
  const std::vector<std::string>& classes_;
  std::vector<bool> used_;
  ClassPlaces places_;
  std::vector<bool> taken_;
  std::vector<std::string> alike_;
};

// By rising id, for a model that only knows how many classes it has.
ClassPlaces places_by_id(const CocoAnnotations& annotations, int count, const std::string& what,
                         std::vector<std::string>& notes) {
  const std::vector<bool> used = used_categories(annotations), parents = mere_parents(annotations);
  std::vector<std::string> names;
  for (const CocoCategory& category : annotations.categories) names.push_back(category.name);
  const auto places_of = [&](const auto& belongs) -> std::optional<ClassPlaces> {
    ClassPlaces places(names.size(), kNone);
    int next = 0;
    for (size_t k = 0; k < names.size(); ++k) {
      if (belongs(k)) places[k] = next++;
    }
    return next == count ? std::optional(std::move(places)) : std::nullopt;
  };
  auto places = places_of([](size_t) { return true; });
  if (!places) places = places_of([&](size_t k) { return !parents[k]; });
  if (!places) places = places_of([&](size_t k) { return bool{used[k]}; });
  require(places.has_value(), ErrorCode::kMismatch,
          "{}: the model has {} classes without names, the file has {} categories, {} of them with "
          "annotations: {}; give the names of the model's classes with --class-map FILE",
          what, count, names.size(), std::ranges::count(used, true), shortened(names));
  notes.push_back(fmt::format(
      "{}: the model's classes have no names; class k is the k-th category by id", what));
  return *places;
}

// Renumbers labels and categories.
void relabel(CocoAnnotations& annotations, const ClassPlaces& places,
             const std::vector<std::string>& classes, int count) {
  std::vector<CocoCategory> categories(static_cast<size_t>(count));
  for (size_t c = 0; c < categories.size(); ++c) {
    categories[c].in_file = false;
    if (c < classes.size()) categories[c].name = classes[c];
  }
  for (size_t k = 0; k < places.size(); ++k) {
    if (places[k] == kNone) continue;
    categories[static_cast<size_t>(places[k])] = std::move(annotations.categories[k]);
  }
  annotations.categories = std::move(categories);
  for (CocoAnnotation& a : annotations.annotations) a.label = places[static_cast<size_t>(a.label)];
}

}  // namespace

std::vector<std::string> training_classes(const CocoAnnotations& annotations) {
  const std::vector<bool> parents = mere_parents(annotations);
  std::vector<std::string> names;
  for (size_t k = 0; k < parents.size(); ++k) {
    if (!parents[k]) names.push_back(annotations.categories[k].name);
  }
  return names;
}

std::vector<std::string> match_categories(CocoAnnotations& annotations,
                                          const std::vector<std::string>& classes, int count,
                                          const std::string& what) {
  std::vector<std::string> notes;
  const ClassPlaces places = classes.empty() ? places_by_id(annotations, count, what, notes)
                                             : NameMatch(annotations, classes).take(what, notes);
  relabel(annotations, places, classes, count);
  return notes;
}

}  // namespace asmlp
