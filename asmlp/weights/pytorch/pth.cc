#include "asmlp/weights/pytorch/pth.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/pytorch/config_json.h"
#include "asmlp/weights/pytorch/pth_reader.h"
#include "asmlp/weights/pytorch/pth_tensor.h"
#include "asmlp/weights/pytorch/state_dict.h"
#include "asmlp/weights/pytorch/zip.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// What all tensors of a file may take together.
uint64_t tensor_limit(size_t file_bytes) { return 4 * uint64_t{file_bytes} + (16u << 20); }

std::string config_of(const Pickle& pickle, const StateDict& dict, const std::string& what) {
  Json merged = Json::object();
  ConfigWriter writer(pickle, what);
  for (const char* key : {"config", "args", "hyper_parameters"}) {
    const PickleValue* value = pickle.find(pickle.at(pickle.root), key);
    if (value == nullptr) continue;
    Json part = writer.convert(*value);
    if (part.is_object()) merged.insert(part.begin(), part.end());  // earlier ones win
  }
  if (dict.shift_size && !merged.contains("shift_size")) merged["shift_size"] = *dict.shift_size;
  return merged.dump(-1, ' ', false, Json::error_handler_t::replace);
}

PthFile extract(const Pickle& pickle, TensorBuilder::Storages storages, size_t file_bytes,
                bool script, const std::string& what) {
  PthFile file;
  StateDict dict = find_state_dict(pickle, script, what);
  TensorBuilder builder(pickle, std::move(storages), tensor_limit(file_bytes), what);
  for (const StateDict::Entry& entry : dict.entries) {
    Tensor tensor = builder.build(entry.tensor, entry.name);
    require(file.tensors.emplace(entry.name, std::move(tensor)).second, ErrorCode::kBadFormat,
            "{}: the tensor '{}' is there twice", what, entry.name);
  }
  file.config_json = config_of(pickle, dict, what);
  file.classes = class_names_of(pickle, pickle.at(pickle.root));
  file.notes = std::move(dict.notes);
  return file;
}

// What else the archive may be, for messages.
std::string other_archive(const ZipArchive& archive) {
  const auto has = [&](std::string_view suffix) { return archive.has_suffix(suffix); };
  if (has("serialized_exported_program.json") || has("models/model.json")) {
    return " (an exported program, .pt2: save the state dict of the Python model instead)";
  }
  if (has(".npy")) return " (NumPy's .npz: save the arrays as safetensors)";
  if (has("model.weights.h5")) return " (a Keras model, which is not read)";
  if (has(".pth") || has(".pt") || has(".safetensors") || has(".bin")) {
    return " (it holds files of weights: unpack it)";
  }
  return "";
}

PthFile parse_zip(std::span<const std::byte> bytes, const std::string& what, Checksums checksums) {
  ZipArchive archive(bytes, what, checksums);
  const std::string pickle_name = archive.find_suffix("/data.pkl");
  require(!pickle_name.empty(), ErrorCode::kBadFormat,
          "{}: a zip archive, but not of torch.save: it has no data.pkl{}", what,
          other_archive(archive));
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
  const bool script = archive.contains(folder + "constants.pkl");
  return extract(pickle, storages, bytes.size(), script, what);
}

// torch.save before 1.6: five pickles (magic, protocol, system, object, storage keys), then for
// each key its number of elements and its bytes.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

// Whether the first of the pickles, of any protocol, is the format's magic number; `size` receives
// its bytes.
bool begins_as_legacy(std::span<const std::byte> bytes, const std::string& what, size_t& size) {
  if (bytes.empty() || bytes[0] != std::byte{0x80}) return false;
  try {
    // The number alone takes 15 bytes, in frames a few more.
    const Pickle magic = run_pickle(bytes.first(std::min<size_t>(bytes.size(), 64)), what);
    size = magic.size;
    return magic.at(magic.root).text == kLegacyMagic;
  } catch (const Error&) {
    return false;
  }
}

PthFile parse_legacy(std::span<const std::byte> bytes, size_t magic_bytes,
                     const std::string& what) {
  std::span<const std::byte> rest = bytes.subspan(magic_bytes);
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
  return extract(object, storages, bytes.size(), false, what);
}

}  // namespace

PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what, Checksums checksums) {
  const auto begins = [&](std::string_view magic) {
    return bytes.size() >= magic.size() &&
           std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  size_t magic_bytes = 0;
  if (begins("PK")) return parse_zip(bytes, what, checksums);
  if (begins_as_legacy(bytes, what, magic_bytes)) return parse_legacy(bytes, magic_bytes, what);
  fail(ErrorCode::kBadFormat, "{}: not a PyTorch checkpoint{}", what,
       begins("\x80") ? ", only a plain pickle (of pickle.dump?) or the begin of one; write the "
                        "weights with torch.save(model.state_dict(), g)"
                      : "");
}

PthFile parse_pth(std::span<const std::byte> bytes, const std::string& what) {
  return parse_pth(bytes, what, Checksums::kVerify);
}

PthFile read_pth(const std::filesystem::path& path) {
  const MappedFile mapped = map_file(path);
  return parse_pth(mapped.bytes, path.string());
}

}  // namespace asmlp
