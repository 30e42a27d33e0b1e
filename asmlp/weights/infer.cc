// Tensors against the parameter table, and the table's config back from tensors.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/foreign_file.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

constexpr int kMaxStages = 8;  // validate(Config)'s limits: higher indices are no AS-MLP's
constexpr int kMaxBlocks = 256;

// The number at the start of `text`, or -1.
int leading_number(std::string_view text) {
  int number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

struct Reader {
  const TensorMap& tensors;
  const std::string& what;

  // The shape of `key`, which must have `rank` extents of at least 1.
  const Shape& shape(const std::string& key, size_t rank) const {
    const auto found = tensors.find(key);
    require(found != tensors.end(), ErrorCode::kMismatch,
            "{}: not the weights of an AS-MLP: '{}' is missing ({}); save the AS-MLP's own "
            "state_dict, e.g. torch.save(model.state_dict(), g)",
            what, key, found_tensors(tensors));
    const Shape& shape = found->second.shape;
    require(shape.size() == rank && *std::min_element(shape.begin(), shape.end()) >= 1 &&
                *std::max_element(shape.begin(), shape.end()) <= 1 << 20,
            ErrorCode::kMismatch, "{}: not the weights of an AS-MLP: '{}' has shape {}", what, key,
            to_string(shape));
    return shape;
  }
};

// Blocks per stage. A stage without blocks shows by the patch merging that leads to it.
std::vector<int> read_depths(const TensorMap& tensors, const std::string& what) {
  std::vector<int> depths{0};
  constexpr std::string_view kLayers = "layers.";
  for (auto it = tensors.lower_bound(std::string(kLayers));
       it != tensors.end() && it->first.starts_with(kLayers); ++it) {
    const std::string_view rest = std::string_view(it->first).substr(kLayers.size());
    const int stage = leading_number(rest);
    const std::string_view field = rest.substr(std::min(rest.find('.'), rest.size()));
    const bool merges = field.starts_with(".downsample.");
    constexpr std::string_view kBlocks = ".blocks.";
    const bool blocks = field.starts_with(kBlocks);
    const int block = blocks ? leading_number(field.substr(kBlocks.size())) : -1;
    require(stage >= 0 && stage + (merges ? 1 : 0) < kMaxStages && block < kMaxBlocks &&
                (block >= 0 || !blocks),
            ErrorCode::kMismatch, "{}: not the weights of an AS-MLP: unexpected key '{}'", what,
            it->first);
    const auto stages = static_cast<size_t>(stage + (merges ? 2 : 1));
    if (depths.size() < stages) depths.resize(stages, 0);
    depths[stage] = std::max(depths[stage], block + 1);
  }
  return depths;
}

std::string stem_conv(int index) { return fmt::format("patch_embed.stem.{}.conv.weight", index); }

// Channels of the image and side of a patch, from patch_embed.proj and what stands before it.
void read_stem(const Reader& reader, const Shape& proj, Config& config) {
  int convs = 0;
  while (convs < kMaxStages && reader.tensors.contains(stem_conv(convs))) ++convs;
  config.stem = convs == 0 ? Stem::kPatch : Stem::kConv;
  config.in_chans = static_cast<int>(convs == 0 ? proj[1] : reader.shape(stem_conv(0), 4)[1]);
  config.patch_size = convs == 0 ? static_cast<int>(proj[2]) : 2 << convs;
}

Downsample read_downsample(const Reader& reader, int stages) {
  if (stages < 2) return Downsample::kMerging;
  return reader.shape("layers.0.downsample.reduction.weight", 4)[2] == 1 ? Downsample::kMerging
                                                                         : Downsample::kConv;
}

// A ratio with floor(dim * ratio) = hidden for every stage that has blocks: the base's when it
// fits, else the largest of the quotients, which fits whenever any ratio does.
double read_mlp_ratio(const Config& config, const Reader& reader) {
  std::vector<std::pair<int, int>> sizes;  // dim, hidden
  double ratio = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    if (config.depths[stage] == 0) continue;
    const std::string key =
        fmt::format("layers.{}.blocks.{}.mlp.fc1.weight", stage, config.depths[stage] - 1);
    const auto hidden = static_cast<int>(reader.shape(key, 4)[0]);
    sizes.emplace_back(config.dim(stage), hidden);
    ratio = std::max(ratio, static_cast<double>(hidden) / config.dim(stage));
  }
  const auto fits = [&](double candidate) {
    return std::all_of(sizes.begin(), sizes.end(), [&](auto size) {
      return static_cast<int64_t>(size.first * candidate) == size.second;
    });
  };
  if (fits(config.mlp_ratio)) return config.mlp_ratio;
  const double above = std::nextafter(ratio, INFINITY);  // when the quotient was rounded down
  return !fits(ratio) && fits(above) ? above : ratio;
}

}  // namespace

void check_parameters(const Config& config, const TensorMap& tensors, const std::string& what) {
  std::string first;
  int missing = 0, wrong = 0;
  size_t matched = 0;
  std::vector<std::string> known = quantization_parameters(config, tensors);
  // What is missing or wrong of them is said below, more precisely.
  for (const std::string& name : known) matched += tensors.count(name);
  for (Param& param : parameter_table(config)) {
    const auto found = tensors.find(param.name);
    if (found == tensors.end()) {
      if (first.empty()) {
        first =
            fmt::format("'{}' is missing (expected shape {})", param.name, to_string(param.shape));
      }
      ++missing;
    } else {
      ++matched;
      if (found->second.shape != param.shape) {
        if (first.empty()) {
          first = fmt::format("'{}' has shape {}, expected {}", param.name,
                              to_string(found->second.shape), to_string(param.shape));
        }
        ++wrong;
      }
    }
    known.push_back(std::move(param.name));
  }
  const size_t unexpected = tensors.size() - matched;
  if (missing == 0 && wrong == 0 && unexpected == 0) {
    const std::string problem = quantization_problem(config, tensors);
    require(problem.empty(), ErrorCode::kMismatch, "{}: not a quantized model: {}", what, problem);
    return;
  }
  if (first.empty()) {
    std::sort(known.begin(), known.end());
    for (const auto& [name, tensor] : tensors) {
      if (std::binary_search(known.begin(), known.end(), name)) continue;
      first = fmt::format("'{}' (shape {}) is no parameter of this model", name.substr(0, 200),
                          to_string(tensor.shape));
      break;
    }
  }
  fail(ErrorCode::kMismatch,
       "{}: the weights do not fit the model: {}; in all {} missing, {} of a wrong shape, {} "
       "unexpected. Does the config belong to this file?",
       what, first, missing, wrong, unexpected);
}

Config infer_config(const TensorMap& tensors, const Config& base, const std::string& what) {
  const std::string other = foreign_network(tensors);
  require(other.empty(), ErrorCode::kMismatch, "{}: not the weights of an AS-MLP but {} ({})", what,
          other, found_tensors(tensors));
  const Reader reader{tensors, what};
  Config config = base;
  const Shape& patch = reader.shape("patch_embed.proj.weight", 4);
  config.embed_dim = static_cast<int>(patch[0]);
  require(
      patch[2] == patch[3], ErrorCode::kMismatch,
      "{}: not the weights of an AS-MLP: 'patch_embed.proj.weight' has shape {}, patches must be "
      "square",
      what, to_string(patch));
  read_stem(reader, patch, config);
  config.patch_norm = tensors.contains("patch_embed.norm.weight");
  config.depths = read_depths(tensors, what);
  config.downsample = read_downsample(reader, config.num_stages());
  config.num_classes = 0;
  if (tensors.contains("head.weight")) {
    config.num_classes = static_cast<int>(reader.shape("head.weight", 2)[0]);
  }
  // The limits first: dim() of an absurd embed_dim would overflow.
  const double mlp_ratio = std::exchange(config.mlp_ratio, 1.0);
  try {
    validate(config);
    config.mlp_ratio = mlp_ratio;
    config.mlp_ratio = read_mlp_ratio(config, reader);
    validate(config);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kMismatch) throw;
    fail(ErrorCode::kMismatch, "{}: not the weights of an AS-MLP: {}", what, error.what());
  }
  return config;
}

}  // namespace asmlp
