#include "asmlp/weights/pth.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/pth_reader.h"
#include "asmlp/weights/pth_tensor.h"
#include "asmlp/weights/zip.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// What all tensors of a file may take together.
uint64_t tensor_limit(size_t file_bytes) { return 4 * uint64_t{file_bytes} + (16u << 20); }

constexpr size_t kMaxTensors = 100'000;

// Plain values only: a value with no counterpart in JSON is left out.
class ConfigWriter {
 public:
  ConfigWriter(const Pickle& pickle, const std::string& what) : pickle_(pickle), what_(what) {}

  // Shared values make a graph of the tree: the limits end cycles and exponential growth.
  Json convert(const PickleValue& value, int depth = 0) {
    values_ += 1 + std::min(value.text.size(), kMaxText) / 16;
    require(values_ <= 100'000, ErrorCode::kBadFormat, "{}: its config has too many values", what_);
    switch (value.kind) {
      case PickleKind::kBool:
        return value.number != 0;
      case PickleKind::kInt:
        return value.number;
      case PickleKind::kFloat:
        return value.real;
      case PickleKind::kText:
        return value.text.substr(0, kMaxText);
      case PickleKind::kTuple:
      case PickleKind::kList: {
        Json list = Json::array();
        if (depth >= kMaxDepth) return nullptr;
        for (PickleRef item : value.items) list.push_back(convert(pickle_.at(item), depth + 1));
        return list;
      }
      case PickleKind::kInstance:
        if (value.items.empty() || depth >= kMaxDepth) return nullptr;
        return convert(pickle_.at(value.items[0]), depth + 1);
      case PickleKind::kDict: {
        Json object = Json::object();
        if (depth >= kMaxDepth) return nullptr;
        for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
          const PickleValue& key = pickle_.at(value.items[i]);
          if (key.kind != PickleKind::kText) continue;
          values_ += std::min(key.text.size(), kMaxText) / 16;
          Json item = convert(pickle_.at(value.items[i + 1]), depth + 1);
          if (!item.is_null()) object[std::string(key.text.substr(0, kMaxText))] = std::move(item);
        }
        return object;
      }
      default:
        return nullptr;
    }
  }

 private:
  static constexpr int kMaxDepth = 24;
  static constexpr size_t kMaxText = 4096;
  const Pickle& pickle_;
  const std::string& what_;
  size_t values_ = 0;
};

std::string config_of(const Pickle& pickle, const PickleValue& root, const std::string& what) {
  Json merged = Json::object();
  ConfigWriter writer(pickle, what);
  for (const char* key : {"config", "args", "hyper_parameters"}) {
    const PickleValue* value = pickle.find(root, key);
    if (value == nullptr) continue;
    Json part = writer.convert(*value);
    if (part.is_object()) merged.insert(part.begin(), part.end());  // earlier ones win
  }
  return merged.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool holds_tensors(const Pickle& pickle, const PickleValue& dict) {
  if (dict.kind != PickleKind::kDict) return false;
  for (size_t i = 1; i < dict.items.size(); i += 2) {
    if (pickle.at(dict.items[i]).kind == PickleKind::kTensor) return true;
  }
  return false;
}

const PickleValue& state_dict_of(const Pickle& pickle, const std::string& what) {
  const PickleValue& root = pickle.at(pickle.root);
  for (const char* key : {"state_dict_ema", "model_ema", "state_dict", "model"}) {
    const PickleValue* value = pickle.find(root, key);
    if (value != nullptr && holds_tensors(pickle, *value)) return *value;
  }
  require(holds_tensors(pickle, root), ErrorCode::kBadFormat,
          "{}: no state dict: neither the file itself nor its model, state_dict, model_ema or "
          "state_dict_ema maps names to tensors",
          what);
  return root;
}

std::string strip_wrappers(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (std::string_view prefix : {"module.", "_orig_mod."}) {
      if (!name.starts_with(prefix)) continue;
      name.remove_prefix(prefix.size());
      again = true;
    }
  }
  return std::string(name);
}

PthFile extract(const Pickle& pickle, TensorBuilder::Storages storages, size_t file_bytes,
                const std::string& what) {
  PthFile file;
  const PickleValue& dict = state_dict_of(pickle, what);
  TensorBuilder builder(pickle, std::move(storages), tensor_limit(file_bytes), what);
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& key = pickle.at(dict.items[i]);
    const PickleRef ref = dict.items[i + 1];
    if (key.kind != PickleKind::kText || pickle.at(ref).kind != PickleKind::kTensor) continue;
    require(key.text.size() <= 1024, ErrorCode::kBadFormat, "{}: a tensor name has {} bytes", what,
            key.text.size());
    require(file.tensors.size() < kMaxTensors, ErrorCode::kTooLarge, "{}: more than {} tensors",
            what, kMaxTensors);
    std::string name = strip_wrappers(key.text);
    Tensor tensor = builder.build(ref, name);
    const bool fresh = file.tensors.emplace(std::move(name), std::move(tensor)).second;
    require(fresh, ErrorCode::kBadFormat, "{}: the tensor '{}' is there twice", what, key.text);
  }
  file.config_json = config_of(pickle, pickle.at(pickle.root), what);
  return file;
}

PthFile parse_zip(std::span<const std::byte> bytes, const std::string& what, Checksums checksums) {
  ZipArchive archive(bytes, what, checksums);
  const std::string pickle_name = archive.find_suffix("/data.pkl");
  require(!pickle_name.empty(), ErrorCode::kBadFormat,
          "{}: a zip archive, but not of torch.save: it has no data.pkl", what);
  const std::string folder = pickle_name.substr(0, pickle_name.size() - std::strlen("data.pkl"));
  if (archive.contains(folder + "byteorder")) {
    const auto order = archive.content(folder + "byteorder");
    const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
    require(text == "little", ErrorCode::kUnsupported, "{}: byte order '{}', only little is read",
            what, text.substr(0, 20));
  }
  const Pickle pickle = run_pickle(archive.content(pickle_name), what);
  const auto storages = [&](std::string_view key) {
    return archive.content(folder + "data/" + std::string(key.substr(0, 200)));
  };
  return extract(pickle, storages, bytes.size(), what);
}

// torch.save before 1.6: five pickles (magic, protocol, system, object, storage keys), then for
// each key its number of elements and its bytes.
constexpr unsigned char kLegacyMagic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                          0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

PthFile parse_legacy(std::span<const std::byte> bytes, const std::string& what) {
  std::span<const std::byte> rest = bytes.subspan(sizeof kLegacyMagic);
  const auto next = [&] {
    Pickle pickle = run_pickle(rest, what);
    rest = rest.subspan(pickle.size);
    return pickle;
  };
  const Pickle protocol = next();
  require(protocol.at(protocol.root).kind == PickleKind::kInt &&
              protocol.at(protocol.root).number == 1001,
          ErrorCode::kUnsupported, "{}: unknown version of the old PyTorch format", what);
  const Pickle system = next();
  const PickleValue* little = system.find(system.at(system.root), "little_endian");
  require(little == nullptr || little->number == 1, ErrorCode::kUnsupported,
          "{}: big-endian data cannot be read", what);
  const Pickle object = next();
  const Pickle keys = next();

  // The element size is needed to find the next storage: it stands where a tensor refers to it.
  std::unordered_map<std::string_view, StorageId> ids;
  for (const PickleValue& value : object.values) {
    if (value.kind != PickleKind::kStorage) continue;
    const StorageId id = read_storage_id(object, value, what);
    ids.emplace(id.key, id);
  }
  const PickleValue& order = keys.at(keys.root);
  require(order.kind == PickleKind::kList, ErrorCode::kBadFormat, "{}: damaged list of storages",
          what);
  std::unordered_map<std::string_view, std::span<const std::byte>> contents;
  for (PickleRef ref : order.items) {
    const PickleValue& key = keys.at(ref);
    const auto id = key.kind == PickleKind::kText ? ids.find(key.text) : ids.end();
    require(id != ids.end(), ErrorCode::kBadFormat, "{}: a storage that no tensor uses", what);
    uint64_t count = 0;
    require(rest.size() >= sizeof count, ErrorCode::kBadFormat,
            "{}: the file ends before its tensors do (is it truncated?)", what);
    std::memcpy(&count, rest.data(), sizeof count);
    rest = rest.subspan(sizeof count);
    const size_t element = size_of(id->second.dtype);
    require(count == id->second.count && count <= rest.size() / element, ErrorCode::kBadFormat,
            "{}: the file ends before its tensors do (is it truncated?)", what);
    contents.emplace(key.text, rest.first(count * element));
    rest = rest.subspan(count * element);
  }
  const auto storages = [&](std::string_view key) {
    const auto found = contents.find(key);
    require(found != contents.end(), ErrorCode::kBadFormat, "{}: storage '{}' is missing", what,
            key.substr(0, 200));
    return found->second;
  };
  return extract(object, storages, bytes.size(), what);
}

}  // namespace

PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what, Checksums checksums) {
  const auto begins = [&](const auto& magic, size_t size) {
    return bytes.size() >= size && std::memcmp(bytes.data(), magic, size) == 0;
  };
  if (begins(kLegacyMagic, sizeof kLegacyMagic)) return parse_legacy(bytes, what);
  if (begins("PK", 2)) return parse_zip(bytes, what, checksums);
  fail(ErrorCode::kBadFormat, "{}: not a PyTorch checkpoint{}", what,
       begins("\x80", 1) ? ", only a plain pickle; write it with torch.save" : "");
}

PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what) {
  return parse_pth(bytes, what, Checksums::kVerify);
}

PthFile read_pth(const std::filesystem::path& path) {
  const MappedFile mapped = map_file(path);
  return parse_pth(mapped.bytes, path.string());
}

}  // namespace asmlp
