#include "asmlp/weights/weight_file.h"

#include <algorithm>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/pth.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<int> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](int a, std::byte b) { return a == std::to_integer<int>(b); });
}

bool has_prefix(const TensorMap& tensors, const std::string& prefix) {
  const auto first = tensors.lower_bound(prefix);
  return first != tensors.end() && first->first.starts_with(prefix);
}

}  // namespace

WeightFile read_weights(const std::filesystem::path& path) {
  const MappedFile mapped = map_file(path);
  // The '{' comes first: a header's length may begin like a pickle or a zip archive, but neither of
  // those has a '{' in that place.
  if (mapped.bytes.size() > 8 && std::to_integer<char>(mapped.bytes[8]) == '{') {
    TensorFile read = read_safetensors(path);
    WeightFile file{path, std::move(read.tensors), std::move(read.metadata), ""};
    if (file.is_training_state()) {
      const std::string prefix = has_prefix(file.tensors, "ema.") ? "ema." : "model.";
      file.tensors = below_prefix(file.tensors, prefix);
    }
    return file;
  }
  require(starts_with(mapped.bytes, {'P', 'K'}) || starts_with(mapped.bytes, {0x80}),
          ErrorCode::kBadFormat, "{}: neither a safetensors file nor a PyTorch checkpoint",
          path.string());
  PthFile file = parse_pth(mapped.bytes, path.string());
  return {path, std::move(file.tensors), {}, std::move(file.config_json)};
}

std::optional<Description> WeightFile::description() const {
  return described(metadata, path.string());
}

Task WeightFile::task() const {
  if (const auto own = description()) return own->task();
  if (has_prefix(tensors, "roi_head.")) return Task::kDetect;
  return has_prefix(tensors, "decode_head.") ? Task::kSegment : Task::kClassify;
}

TensorMap below_prefix(const TensorMap& tensors, const std::string& prefix) {
  TensorMap below;
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && it->first.starts_with(prefix);
       ++it) {
    below[it->first.substr(prefix.size())] = it->second;
  }
  return below;
}

}  // namespace asmlp
