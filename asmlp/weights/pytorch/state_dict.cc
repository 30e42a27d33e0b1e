#include "asmlp/weights/pytorch/state_dict.h"

#include <algorithm>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr int kMaxDepth = 5;     // of dicts around the state dict
constexpr int kMaxModules = 64;  // modules inside one another
constexpr size_t kMaxVisited = 1 << 20;
constexpr size_t kMaxTensors = 100'000;
constexpr std::string_view kFirstWeight = "patch_embed.proj.weight";

constexpr const char* kAveraged[] = {"state_dict_ema", "model_ema", "ema_state_dict", "ema_model",
                                     "params_ema",     "ema",       "shadow"};
constexpr const char* kPlain[] = {"state_dict", "model_state_dict", "model",  "net_state_dict",
                                  "net",        "network",          "params", "module",
                                  "weights",    "teacher",          "student"};

bool is_module(const Pickle& pickle, const PickleValue& value) {
  return value.kind == PickleKind::kInstance && pickle.find(value, "_parameters") != nullptr &&
         pickle.find(value, "_modules") != nullptr;
}

bool holds_tensors(const Pickle& pickle, const PickleValue& value) {
  if (is_module(pickle, value)) return true;
  if (value.kind != PickleKind::kDict) return false;
  for (size_t i = 1; i < value.items.size(); i += 2) {
    if (pickle.at(value.items[i]).kind == PickleKind::kTensor) return true;
  }
  return false;
}

// Whether a name among the dict's is the first weight of an AS-MLP, behind any prefix.
bool looks_like_as_mlp(const Pickle& pickle, const PickleValue& value) {
  if (is_module(pickle, value)) return true;
  if (value.kind != PickleKind::kDict) return false;
  for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
    const PickleValue& key = pickle.at(value.items[i]);
    if (key.kind == PickleKind::kText && key.text.ends_with(kFirstWeight)) return true;
  }
  return false;
}

struct Found {
  const PickleValue* value = nullptr;
  std::string place;  // "model.state_dict"; "" for the outermost
};

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + "." + b;
}

class Search {
 public:
  Search(const Pickle& pickle, const std::string& what, std::vector<std::string>& notes)
      : pickle_(pickle), what_(what), notes_(notes) {}

  Found run() {
    const PickleValue& root = pickle_.at(pickle_.root);
    Found found = known_key(root, 0);
    if (found.value == nullptr || !looks_like_as_mlp(pickle_, *found.value)) {
      std::vector<Found> others;
      any_key(root, "", 0, others);
      if (others.size() == 1 && others[0].value != found.value) {
        notes_.push_back(fmt::format("the weights are taken from '{}'.", others[0].place));
        return others[0];
      }
      if (found.value == nullptr && others.size() > 1) {
        std::string places;
        for (const Found& other : others) places += fmt::format(" '{}'", other.place);
        fail(ErrorCode::kBadFormat,
             "{}: no state dict under a usual name, and several others are there:{}; keep one: "
             "torch.save(torch.load(f)['{}'], g)",
             what_, places, others[0].place);
      }
    }
    if (found.value == nullptr) fail_without(root);
    return found;
  }

 private:
  Found known_key(const PickleValue& value, int depth) {
    if (is_module(pickle_, value)) return {&value, ""};
    if (depth < kMaxDepth && pickle_.dict_of(value) != nullptr) {
      for (const char* key : kAveraged) {
        // mmengine swaps the two when it saves: state_dict has the averaged weights.
        if (key == std::string_view("ema_state_dict") && pickle_.find(value, key) &&
            pickle_.find(value, "message_hub")) {
          notes_.emplace_back(
              "the averaged weights (EMA) are taken: mmengine keeps them under 'state_dict'.");
          continue;
        }
        Found found = below(value, key, depth);
        if (found.value == nullptr) continue;
        for (const char* other : kPlain) {
          if (below(value, other, depth).value == nullptr) continue;
          notes_.push_back(
              fmt::format("the averaged weights (EMA) under '{}' are taken, not those under '{}'.",
                          key, other));
          break;
        }
        return found;
      }
      for (const char* key : kPlain) {
        Found found = below(value, key, depth);
        if (found.value != nullptr) return found;
      }
    }
    if (holds_tensors(pickle_, value)) return {&value, ""};
    return {};
  }

  Found below(const PickleValue& value, const char* key, int depth) {
    const PickleValue* child = pickle_.find(value, key);
    if (child == nullptr || child == &value || ++visited_ > kMaxVisited) return {};
    Found found = known_key(*child, depth + 1);
    found.place = joined(key, found.place);
    return found;
  }

  void any_key(const PickleValue& value, const std::string& place, int depth,
               std::vector<Found>& found) {
    if (looks_like_as_mlp(pickle_, value)) {
      found.push_back({&value, place});
      return;
    }
    const PickleValue* dict = pickle_.dict_of(value);
    if (dict == nullptr || depth >= kMaxDepth) return;
    for (size_t i = 0; i + 1 < dict->items.size() && found.size() < 8; i += 2) {
      const PickleValue& key = pickle_.at(dict->items[i]);
      const PickleValue& child = pickle_.at(dict->items[i + 1]);
      if (key.kind != PickleKind::kText || ++visited_ > kMaxVisited) continue;
      if (child.kind != PickleKind::kDict && child.kind != PickleKind::kInstance) continue;
      any_key(child, joined(place, std::string(key.text.substr(0, 100))), depth + 1, found);
    }
  }

  [[noreturn]] void fail_without(const PickleValue& root) const {
    std::string keys;
    const PickleValue* dict = pickle_.dict_of(root);
    size_t shown = 0, all = 0;
    for (size_t i = 0; dict != nullptr && i + 1 < dict->items.size(); i += 2) {
      const PickleValue& key = pickle_.at(dict->items[i]);
      if (key.kind != PickleKind::kText) continue;
      ++all;
      if (shown++ < 8)
        keys += fmt::format("{}'{}'", keys.empty() ? "" : ", ", key.text.substr(0, 80));
    }
    const std::string cls = pickle_.class_name(root);
    fail(ErrorCode::kBadFormat,
         "{}: no state dict: nothing in it maps names to tensors ({}); save the weights alone: "
         "torch.save(model.state_dict(), g)",
         what_,
         all > 0       ? fmt::format("its keys: {}{}", keys, all > 8 ? ", ..." : "")
         : cls.empty() ? std::string("it is no dict")
                       : "an object of the class " + cls);
  }

  const Pickle& pickle_;
  const std::string& what_;
  std::vector<std::string>& notes_;
  size_t visited_ = 0;
};

class Collector {
 public:
  Collector(const Pickle& pickle, const std::string& what, StateDict& out)
      : pickle_(pickle), what_(what), out_(out) {}

  void add_dict(const PickleValue& dict) {
    for_entries(dict, [&](std::string_view name, PickleRef ref) {
      const PickleValue& value = pickle_.at(ref);
      if (value.kind == PickleKind::kTensor) return add(std::string(name), ref);
      const bool object = value.kind == PickleKind::kInstance || value.kind == PickleKind::kOpaque;
      const bool weight = name.ends_with(".weight") || name.ends_with(".bias");
      if (!object || !weight) return;
      const std::string cls = pickle_.class_name(value);
      std::string advice = "save plain tensors: {k: v.detach().cpu() for k, v in model.items()}";
      if (cls.find("qtensor") != std::string::npos) {
        advice = "it is quantized: dequantize the model in PyTorch before saving it";
      } else if (cls.find("sparse") != std::string::npos) {
        advice = "it is sparse: save its to_dense()";
      } else if (cls.starts_with("numpy")) {
        advice = "it is a NumPy array: save torch.from_numpy of it";
      }
      fail(ErrorCode::kUnsupported, "{}: '{}' is no plain tensor but an object of {}; {}", what_,
           name.substr(0, 200), cls.empty() ? "an unknown class" : cls, advice);
    });
  }

  // A torch.nn.Module.
  void add_module(const PickleValue& module, const std::string& prefix, int depth) {
    visit(depth);
    if (const PickleValue* shift = pickle_.find(module, "shift_size")) {
      if (shift->kind == PickleKind::kInt && !out_.shift_size) out_.shift_size = shift->number;
    }
    for (const char* part : {"_parameters", "_buffers"}) {
      const PickleValue* tensors = pickle_.find(module, part);
      if (tensors == nullptr) continue;
      for_entries(*tensors, [&](std::string_view name, PickleRef ref) {
        if (pickle_.at(ref).kind == PickleKind::kTensor) add(prefix + std::string(name), ref);
      });
    }
    const PickleValue* modules = pickle_.find(module, "_modules");
    if (modules == nullptr) return;
    for_entries(*modules, [&](std::string_view name, PickleRef ref) {
      const PickleValue& child = pickle_.at(ref);
      if (is_module(pickle_, child)) add_module(child, joined_name(prefix, name), depth + 1);
    });
  }

  // A module of a TorchScript archive: tensors and modules are attributes.
  void add_script(const PickleValue& module, const std::string& prefix, int depth) {
    visit(depth);
    const PickleValue* attributes = pickle_.dict_of(module);
    if (attributes == nullptr) return;
    for_entries(*attributes, [&](std::string_view name, PickleRef ref) {
      const PickleValue& child = pickle_.at(ref);
      if (child.kind == PickleKind::kTensor) add(prefix + std::string(name), ref);
      if (child.kind == PickleKind::kInstance) {
        add_script(child, joined_name(prefix, name), depth + 1);
      }
    });
  }

 private:
  template <typename Use>
  void for_entries(const PickleValue& value, Use use) {
    const PickleValue* dict = pickle_.dict_of(value);
    if (dict == nullptr) return;
    for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
      const PickleValue& key = pickle_.at(dict->items[i]);
      if (key.kind == PickleKind::kText) use(key.text, dict->items[i + 1]);
    }
  }

  std::string joined_name(const std::string& prefix, std::string_view name) const {
    require(prefix.size() + name.size() < 1024, ErrorCode::kBadFormat,
            "{}: modules with names of more than 1024 bytes", what_);
    return prefix + std::string(name) + ".";
  }

  void add(std::string name, PickleRef ref) {
    require(name.size() <= 1024, ErrorCode::kBadFormat, "{}: a tensor name has {} bytes", what_,
            name.size());
    require(out_.entries.size() < kMaxTensors, ErrorCode::kTooLarge, "{}: more than {} tensors",
            what_, kMaxTensors);
    out_.entries.push_back({std::move(name), ref});
  }

  void visit(int depth) {
    require(depth < kMaxModules && ++visited_ <= kMaxTensors, ErrorCode::kBadFormat,
            "{}: its modules contain one another without end", what_);
  }

  const Pickle& pickle_;
  const std::string& what_;
  StateDict& out_;
  size_t visited_ = 0;
};

}  // namespace

StateDict find_state_dict(const Pickle& pickle, bool script, const std::string& what) {
  StateDict out;
  Collector collector(pickle, what, out);
  const PickleValue& root = pickle.at(pickle.root);
  if (script) {
    collector.add_script(root, "", 0);
    out.notes.emplace_back(
        "a TorchScript archive: its weights are read, its program is not executed.");
    require(!out.entries.empty(), ErrorCode::kBadFormat,
            "{}: a TorchScript archive without parameters (a frozen one has them in its program); "
            "save the state dict of the Python model instead",
            what);
    return out;
  }
  const Found found = Search(pickle, what, out.notes).run();
  if (is_module(pickle, *found.value)) {
    collector.add_module(*found.value, "", 0);
    out.notes.push_back(
        fmt::format("a whole pickled model ({}): its weights are read, its program is not needed.",
                    pickle.class_name(*found.value)));
  } else {
    collector.add_dict(*found.value);
  }
  return out;
}

}  // namespace asmlp
