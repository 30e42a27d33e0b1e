#include "asmlp/weights/pytorch/class_names.h"

#include <charconv>

#include "asmlp/core/error.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/pytorch/config_json.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// More classes than any model has; a list of names takes this much memory at most.
constexpr size_t kMaxNames = 100'000;

constexpr const char* kListKeys[] = {"CLASSES",      "classes",      "class_names", "categories",
                                     "label_names",  "names",        "labels",      "id2label",
                                     "idx_to_class", "class_to_idx", "label2id"};

// An index of a dict's key or value: 3 or "3"; -1 for everything else.
int64_t index_of(const Json& json) {
  if (json.is_number_integer()) return json.get<int64_t>();
  int64_t index = -1;
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    const auto read = std::from_chars(text.data(), text.data() + text.size(), index);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return -1;
  }
  return index;
}

// Pairs of index and name, in any order, as a list without holes; empty when they are none.
std::vector<std::string> ordered(const std::vector<std::pair<int64_t, std::string>>& pairs) {
  std::vector<std::string> names(pairs.size());
  std::vector<bool> seen(pairs.size(), false);
  for (const auto& [index, name] : pairs) {
    if (index < 0 || index >= std::ssize(pairs) || seen[static_cast<size_t>(index)]) return {};
    seen[static_cast<size_t>(index)] = true;
    names[static_cast<size_t>(index)] = name;
  }
  return names;
}

std::vector<std::string> names_in(const Json& json) {
  std::vector<std::string> names;
  if (json.is_string()) return {json.get<std::string>()};  // CLASSES = ('person') is a text
  if (json.is_array()) {
    for (const Json& item : json) {
      // COCO's categories are objects.
      const Json& name = item.is_object() && item.contains("name") ? item["name"] : item;
      if (!name.is_string()) return {};
      names.push_back(name.get<std::string>());
    }
    return names;
  }
  if (!json.is_object()) return {};
  std::vector<std::pair<int64_t, std::string>> pairs;
  for (const auto& [key, value] : json.items()) {
    const int64_t by_value = value.is_number() ? index_of(value) : -1;
    if (by_value >= 0) {
      pairs.emplace_back(by_value, key);
    } else if (value.is_string() && index_of(key) >= 0) {
      pairs.emplace_back(index_of(key), value.get<std::string>());
    } else {
      return {};
    }
  }
  return ordered(pairs);
}

std::vector<PaletteColor> palette_in(const Json& json) {
  std::vector<PaletteColor> palette;
  if (!json.is_array()) return {};
  for (const Json& item : json) {
    if (!item.is_array() || item.size() != 3) return {};
    PaletteColor color{};
    for (size_t c = 0; c < 3; ++c) {
      if (!item[c].is_number_integer()) return {};
      const auto value = item[c].get<int64_t>();
      if (value < 0 || value > 255) return {};
      color[c] = static_cast<uint8_t>(value);
    }
    palette.push_back(color);
  }
  return palette;
}

// One object of names: CLASSES and PALETTE side by side.
ClassNames names_beside(const Json& json, const std::string& place) {
  ClassNames found;
  if (!json.is_object()) return found;
  for (const char* key : kListKeys) {
    if (!json.contains(key)) continue;
    found.names = names_in(json[key]);
    if (found.names.size() > kMaxNames) found.names.clear();
    if (found.names.empty()) continue;
    found.place = place + key;
    break;
  }
  for (const char* key : {"PALETTE", "palette"}) {
    if (!found.palette.empty() || !json.contains(key)) continue;
    found.palette = palette_in(json[key]);
    if (found.palette.size() != found.names.size()) found.palette.clear();
  }
  return found;
}

// The dict of the pickle as JSON, of which only the interesting keys are converted. Indices as keys
// become text, as in JSON.
Json interesting(const Pickle& pickle, const PickleValue& dict, ConfigWriter& writer) {
  Json json = Json::object();
  for (const char* key : kListKeys) {
    const PickleValue* value = pickle.find(dict, key);
    if (value == nullptr) continue;
    if (value->kind == PickleKind::kDict) {
      Json& entries = json[key] = Json::object();
      for (size_t i = 0; i + 1 < value->items.size(); i += 2) {
        const PickleValue& name = pickle.at(value->items[i]);
        Json item = writer.convert(pickle.at(value->items[i + 1]));
        if (name.kind == PickleKind::kInt) {
          entries[std::to_string(name.number)] = std::move(item);
        } else if (name.kind == PickleKind::kText) {
          entries[std::string(name.text)] = std::move(item);
        }
      }
    } else if (value->kind == PickleKind::kText || value->kind == PickleKind::kTuple ||
               value->kind == PickleKind::kList) {
      json[key] = writer.convert(*value);
    }
  }
  for (const char* key : {"PALETTE", "palette"}) {
    if (const PickleValue* value = pickle.find(dict, key)) json[key] = writer.convert(*value);
  }
  return json;
}

}  // namespace

ClassNames class_names_of(const Pickle& pickle, const PickleValue& root) {
  const PickleValue* meta = pickle.find(root, "meta");
  const PickleValue* dataset = meta != nullptr ? pickle.find(*meta, "dataset_meta") : nullptr;
  struct Place {
    const PickleValue* value;
    const char* name;
  };
  const Place places[] = {{dataset, "meta.dataset_meta."},
                          {meta, "meta."},
                          {pickle.find(root, "dataset_meta"), "dataset_meta."},
                          {&root, ""},
                          {pickle.find(root, "config"), "config."},
                          {pickle.find(root, "args"), "args."},
                          {pickle.find(root, "hyper_parameters"), "hyper_parameters."}};
  const std::string what = "class names";
  for (const Place& place : places) {
    if (place.value == nullptr) continue;
    try {
      ConfigWriter writer(pickle, what);
      ClassNames found = names_beside(interesting(pickle, *place.value, writer), place.name);
      if (!found.names.empty()) return found;
    } catch (const Error&) {
      // Far too large for names.
    }
  }
  return {};
}

ClassNames class_names_of(const Json& json) { return names_beside(json, ""); }

ClassNames class_names_of(const std::map<std::string, std::string>& metadata) {
  Json json = Json::object();
  for (const auto& [key, text] : metadata) {
    if (text.empty() || (text.front() != '[' && text.front() != '{')) continue;
    if (!is_parsable_json(text)) continue;
    Json value = Json::parse(text, nullptr, false);
    if (!value.is_discarded()) json[key] = std::move(value);
  }
  return class_names_of(json);
}

}  // namespace asmlp
