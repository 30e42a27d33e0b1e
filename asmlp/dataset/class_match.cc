#include "asmlp/dataset/class_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <map>
#include <numeric>
#include <optional>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Names = std::vector<std::string>;
using Places = std::vector<int>;

// Of a list that a message shows.
constexpr size_t kShownNames = 6;

std::string first_synonym(const std::string& name) {
  return plain_class_name(name.substr(0, name.find(',')));
}

// The place in `model` of every name, each side as `form` writes it; nothing unless all are found,
// each in a place of its own.
std::optional<Places> find_all(const Names& data, const Names& model,
                               const std::function<std::string(const std::string&)>& form) {
  std::map<std::string, std::vector<int>> places, wanted;
  for (size_t k = 0; k < model.size(); ++k) places[form(model[k])].push_back(static_cast<int>(k));
  for (size_t k = 0; k < data.size(); ++k) wanted[form(data[k])].push_back(static_cast<int>(k));
  Places found(data.size());
  for (const auto& [name, indexes] : wanted) {
    const auto at = places.find(name);
    if (at == places.end() || at->second.size() != indexes.size()) return std::nullopt;
    for (size_t i = 0; i < indexes.size(); ++i) {
      found[static_cast<size_t>(indexes[i])] = at->second[i];
    }
  }
  return found;
}

// The values of names that are the numbers 0..n-1 or 1..n, counted from 0; else nothing.
std::optional<Places> as_numbers(const Names& names) {
  Places values;
  for (const std::string& name : names) {
    int value = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    values.push_back(value);
  }
  if (values.empty()) return std::nullopt;
  const int first = *std::ranges::min_element(values);
  if (first != 0 && first != 1) return std::nullopt;
  for (int& value : values) value -= first;
  Places sorted = values;
  std::ranges::sort(sorted);
  for (size_t k = 0; k < sorted.size(); ++k) {
    if (sorted[k] != static_cast<int>(k)) return std::nullopt;
  }
  return values;
}

[[noreturn]] void fail_match(const ClassSide& data, const ClassSide& model) {
  fail(ErrorCode::kMismatch,
       "the classes of {} are not those of {}:\n  only in the data ({} classes): {}\n  only in the "
       "model ({} classes): {}\n  use the model that was trained on these classes, or give the "
       "model's names as the data has them (--class-map FILE)",
       data.who, model.who, data.count, only_in(data.names, model.names), model.count,
       only_in(model.names, data.names));
}

ClassMatch by_number(const ClassSide& data, const ClassSide& model, const std::string& unnamed) {
  require(data.count == model.count, ErrorCode::kMismatch,
          "{} has {} classes, {} has {}, and {} does not name them: classes without names match "
          "only by number, one by one; give their names (--class-map FILE), or data of as many "
          "classes",
          data.who, data.count, model.who, model.count, unnamed);
  ClassMatch match;
  match.places.resize(static_cast<size_t>(data.count));
  std::iota(match.places.begin(), match.places.end(), 0);
  match.notes.push_back(
      fmt::format("{} does not name its classes: matched by number, in their order", unnamed));
  return match;
}

// By the numbers that are one side's names.
std::optional<ClassMatch> by_value(const ClassSide& data, const ClassSide& model) {
  if (data.names.size() != model.names.size()) return std::nullopt;
  if (const auto values = as_numbers(data.names)) {
    return ClassMatch{*values,
                      {fmt::format("the classes of {} are named by numbers: each is taken for the "
                                   "model's class of that number ('{}' is '{}')",
                                   data.who, data.names.front(),
                                   model.names[static_cast<size_t>(values->front())])}};
  }
  const auto values = as_numbers(model.names);
  if (!values) return std::nullopt;
  ClassMatch match;
  for (size_t k = 0; k < data.names.size(); ++k) {
    match.places.push_back(
        static_cast<int>(std::ranges::find(*values, static_cast<int>(k)) - values->begin()));
  }
  match.notes.push_back(fmt::format(
      "the classes of {} are named by numbers: each is taken for the data's class of that number",
      model.who));
  return match;
}

}  // namespace

std::string plain_class_name(const std::string& name) {
  std::string plain;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '_' || c == '-' || c == '/' || std::isspace(byte) != 0) continue;
    plain += static_cast<char>(std::tolower(byte));
  }
  return plain;
}

std::string only_in(const Names& names, const Names& others) {
  Names plain;
  for (const std::string& other : others) plain.push_back(plain_class_name(other));
  std::ranges::sort(plain);
  std::string text;
  size_t count = 0;
  for (const std::string& name : names) {
    if (std::ranges::binary_search(plain, plain_class_name(name))) continue;
    if (++count <= kShownNames) text += (count > 1 ? ", " : "") + name;
  }
  if (count > kShownNames) text += fmt::format(" and {} more", count - kShownNames);
  return count == 0 ? "none" : text;
}

ClassMatch match_classes(const ClassSide& data, const ClassSide& model,
                         std::span<const ClassAlias> aliases) {
  if (model.names.empty()) return by_number(data, model, model.who);
  if (data.names.empty()) return by_number(data, model, data.who);

  const auto same = [](const std::string& name) { return name; };
  std::map<std::string, std::string> words;  // identifier -> name in words
  for (const auto& [identifier, name] : aliases) {
    words[plain_class_name(identifier)] = first_synonym(name);
  }
  const auto through_aliases = [&](const std::string& name) {
    const std::string plain = first_synonym(name);
    const auto known = words.find(plain);
    return known == words.end() ? plain : known->second;
  };
  // A model with exactly the classes of the aliases has their identifiers in that order: two
  // classes of one name are then still told apart.
  Names identifiers;
  for (const auto& [identifier, name] : aliases) {
    const size_t k = identifiers.size();
    if (k >= model.names.size() || first_synonym(model.names[k]) != first_synonym(name)) break;
    identifiers.push_back(identifier);
  }
  if (identifiers.size() < model.names.size()) identifiers.clear();
  struct Rule {
    std::function<std::string(const std::string&)> form;
    const char* note;
    const Names* model;
  };
  const char* const kIdentified = "by what their identifiers stand for";
  const Rule rules[] = {
      {same, "", &model.names},
      {plain_class_name, "by name, whatever their case and what divides words", &model.names},
      {first_synonym, "by the first name of each", &model.names},
      {plain_class_name, kIdentified, &identifiers},
      {through_aliases, kIdentified, &model.names}};
  for (const Rule& rule : rules) {
    const auto places = find_all(data.names, *rule.model, rule.form);
    if (!places) continue;
    ClassMatch match{*places, {}};
    size_t other = 0;  // the first class whose names differ
    while (other < places->size() &&
           data.names[other] == model.names[static_cast<size_t>((*places)[other])]) {
      ++other;
    }
    if (other < places->size()) {
      match.notes.push_back(
          fmt::format("class names of data and model are matched {} ('{}' is '{}')", rule.note,
                      data.names[other], model.names[static_cast<size_t>((*places)[other])]));
    }
    match.subset = data.names.size() < model.names.size();
    if (match.subset) {
      match.notes.push_back(
          fmt::format("the data has {} of the model's {} classes, matched by name; predictions "
                      "compete over all {}",
                      data.names.size(), model.names.size(), model.names.size()));
    } else if (other == places->size() && !std::ranges::is_sorted(*places)) {
      match.notes.push_back(
          "data and model have the same classes in different order; matched by name");
    }
    return match;
  }
  if (auto match = by_value(data, model)) return *std::move(match);
  fail_match(data, model);
}

}  // namespace asmlp
