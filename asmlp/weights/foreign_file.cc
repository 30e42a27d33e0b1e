#include "asmlp/weights/foreign_file.h"

#include <algorithm>
#include <string_view>

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"

namespace asmlp {
namespace {

bool is_text(std::string_view text) {
  return std::ranges::all_of(
      text, [](unsigned char c) { return c >= 0x20 || c == '\n' || c == '\r' || c == '\t'; });
}

struct Magic {
  std::string_view begin;
  const char* what;
};

using namespace std::string_view_literals;
constexpr Magic kMagics[] = {
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras, TensorFlow); PyTorch weights are needed"},
    {"\x1f\x8b"sv, "compressed with gzip; unpack it first (gunzip, or tar -xzf)"},
    {"BZh"sv, "compressed with bzip2; unpack it first"},
    {"\xfd"
     "7zXZ"sv,
     "compressed with xz; unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "compressed with zstd; unpack it first"},
    {"7z\xbc\xaf"sv, "a 7z archive; unpack it first"},
    {"Rar!"sv, "a RAR archive; unpack it first"},
    {"GGUF"sv, "a GGUF file (llama.cpp), which holds no AS-MLP"},
    {"\x93NUMPY"sv, "an array of NumPy; save the weights as safetensors or with torch.save"},
    {"\x89PNG"sv, "a picture (PNG); a model is needed here"},
    {"\xff\xd8\xff"sv, "a picture (JPEG); a model is needed here"},
    {"RIFF"sv, "a picture or sound (RIFF); a model is needed here"},
    {"GIF8"sv, "a picture (GIF); a model is needed here"},
    {"%PDF"sv, "a PDF document; a model is needed here"},
    {"\x7f"
     "ELF"sv,
     "a program or library; a model is needed here"},
    {"SQLite format"sv, "a data base; a model is needed here"},
};

std::string kind_of(std::string_view bytes, const std::filesystem::path& path) {
  const std::string_view head = bytes.substr(0, 1024);
  if (bytes.empty()) return "the file is empty (an incomplete download or copy?); get it again";
  if (head.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer, not the weights themselves; run `git lfs pull` in that repository, "
           "or download the file itself";
  }
  for (const Magic& magic : kMagics) {
    if (head.starts_with(magic.begin)) return magic.what;
  }
  if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar") {
    return "a tar archive; unpack it first (tar -xf)";
  }
  const std::string extension = lower_case(path.extension().string());
  const bool protobuf = head[0] == '\x08' || head[0] == '\x0a';
  if (extension == ".onnx" ||
      (protobuf && (head.find("onnx") != head.npos || head.find("pytorch") != head.npos))) {
    return "an ONNX model; take the PyTorch weights it was exported from";
  }
  if (bytes.size() >= 8 && bytes.substr(4, 4) == "TFL3") {
    return "a TensorFlow Lite model; PyTorch weights are needed";
  }
  if (extension == ".pb" || head.find("saved_model") != head.npos) {
    return "a TensorFlow model; PyTorch weights are needed";
  }
  if (is_text(head)) {
    const size_t first = head.find_first_not_of(" \t\r\n");
    const std::string start = lower_case(head.substr(std::min(first, head.size()), 64));
    if (start.starts_with("<!doctype html") || start.starts_with("<html") ||
        start.starts_with("<head") || start.starts_with("<script")) {
      return "a web page, not weights: the download needs a login or another address (on Hugging "
             "Face .../resolve/..., on GitHub the raw file)";
    }
    if (start.starts_with("<?xml") || start.starts_with("<")) {
      return "an XML text, not weights (an error message of the server?); download it again";
    }
    if (start.starts_with("{") || start.starts_with("[")) {
      return "a JSON text, not weights; a description of a model is given with --config, its "
             "weights "
             "with --model or --weights";
    }
    if (extension == ".yaml" || extension == ".yml") {
      return "a YAML text, not weights; a description of a model is given with --config, its "
             "weights "
             "with --model or --weights";
    }
    return "a text, not weights";
  }
  if (std::ranges::all_of(head, [](char c) { return c == 0; })) {
    return "the file begins with zeros (an incomplete download or copy?); get it again";
  }
  return "no safetensors file and no PyTorch checkpoint";
}

}  // namespace

void fail_foreign(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string kind = kind_of(view, path);
  const bool generic = kind.starts_with("no ");
  fail(ErrorCode::kBadFormat, "{}: {}{}", path.string(),
       generic ? "neither a safetensors file nor a PyTorch checkpoint" : kind,
       generic ? "" : " (weights are safetensors files or PyTorch checkpoints)");
}

std::string foreign_network(const TensorMap& tensors) {
  const auto any = [&](auto matches) {
    return std::ranges::any_of(tensors, [&](const auto& item) { return matches(item.first); });
  };
  const auto contains = [&](const char* part) {
    return any([part](const std::string& name) { return name.find(part) != std::string::npos; });
  };
  const auto begins = [&](const char* part) {
    return any([part](const std::string& name) { return name.starts_with(part); });
  };
  if (contains("relative_position_bias_table")) return "a Swin Transformer's";
  if (contains("cls_token") || contains("attn.qkv.weight") || contains("self_attention")) {
    return "a vision transformer's";
  }
  if (contains("token_mixing") || contains("mlp_tokens.fc1")) return "an MLP-Mixer's";
  if (begins("layer1.0.conv1") || contains("bottleneck")) return "a ResNet's";
  if (contains("dwconv.weight") || contains("conv_dw.weight")) return "a ConvNeXt's";
  if (contains("se_module") || contains("conv_stem")) return "an EfficientNet's";
  if (contains("lora_A") || contains("lora_down")) return "a LoRA adapter's, not a whole model's";
  if (contains("self_attn.q_proj") || contains("embed_tokens")) return "a language model's";
  return "";
}

std::string found_tensors(const TensorMap& tensors) {
  if (tensors.empty()) return "no tensors";
  std::string text = fmt::format("{} tensor{}", tensors.size(), tensors.size() == 1 ? "" : "s");
  size_t shown = 0;
  for (const auto& [name, tensor] : tensors) {
    if (shown == 5) {
      text += ", ...";
      break;
    }
    text += fmt::format("{}'{}'", shown++ == 0 ? ", the first: " : ", ", name.substr(0, 100));
  }
  return text;
}

}  // namespace asmlp
