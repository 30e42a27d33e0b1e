#include "asmlp/onnx/export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/onnx/metadata.h"
#include "asmlp/onnx/networks.h"
#include "asmlp/weights/fold_batch_norm.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

using Value = GraphBuilder::Value;

constexpr int64_t kMaxOnnxBatch = 1 << 16, kMaxOnnxSide = 1 << 14;

void check_options(const Description& description, const OnnxOptions& options) {
  const auto* architecture = std::get_if<Architecture>(&description.model);
  require(
      architecture == nullptr || is_as_mlp(*architecture), ErrorCode::kUnsupported,
      "'{}' is a baseline; ONNX files are written of AS-MLP and of its detectors and segmentors",
      description.name());
  require(!options.features || architecture != nullptr, ErrorCode::kUnsupported,
          "feature maps are outputs of classifiers; '{}' is a {}", description.name(),
          model_kind(description.task()));
  const int batch = options.batch.value_or(1);
  require(batch >= 1 && batch <= kMaxOnnxBatch, ErrorCode::kInvalidArgument,
          "the batch size is {}, must be 1..{}", batch, kMaxOnnxBatch);
  const MapSize size = options.size.value_or(MapSize{1, 1});
  for (const int side : {size.h, size.w}) {
    require(side >= 1 && side <= kMaxOnnxSide, ErrorCode::kInvalidArgument,
            "the image size has a side of {} pixels, must be 1..{}", side, kMaxOnnxSide);
  }
}

std::string to_text(const std::vector<OnnxDim>& dims) {
  std::vector<std::string> words;
  for (const OnnxDim& dim : dims) {
    const auto* number = std::get_if<int64_t>(&dim);
    words.push_back(number != nullptr ? fmt::format("{}", *number) : std::get<std::string>(dim));
  }
  return fmt::format("[{}]", fmt::join(words, ", "));
}

// The extents of the maps, as numbers where the input has them.
class Extents {
 public:
  Extents(const OnnxOptions& options, int64_t pad_multiple)
      : options_(options), multiple_(pad_multiple) {}
  OnnxDim batch() const {
    return options_.batch ? OnnxDim(int64_t{*options_.batch}) : OnnxDim("N");
  }
  OnnxDim side(bool height, int64_t stride) const {
    if (options_.size) {
      const int64_t side = height ? options_.size->h : options_.size->w;
      const int64_t whole = (side + multiple_ - 1) / multiple_ * multiple_;
      return (whole + stride - 1) / stride;
    }
    // "H/4": rounded up.
    const char* letter = height ? "H" : "W";
    return stride == 1 ? letter : fmt::format("{}/{}", letter, stride);
  }

 private:
  const OnnxOptions& options_;
  int64_t multiple_;
};

// (pixels / scale - mean) / std of uint8 [N, H, W, C], as [N, C, H, W].
template <typename Float>
Value normalized(GraphBuilder& graph, const Value& pixels, float scale,
                 const std::vector<Float>& mean, const std::vector<Float>& deviation) {
  graph.scope("input.");
  const auto constant = [&](const std::vector<Float>& values) {
    return graph.floats({values.begin(), values.end()}, {static_cast<int64_t>(values.size())});
  };
  Value x = graph.node("Cast", {pixels}, {{"to", int64_t{onnx::TensorProto::FLOAT}}});
  if (scale != 1) x = graph.node("Div", {x, graph.scalar(scale)});
  x = graph.node("Sub", {x, constant(mean)});
  x = graph.node("Div", {x, constant(deviation)});
  return graph.node("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
}

float scale_of(const Preprocessing&) { return 255; }
float scale_of(const DenseInput&) { return 1; }
int64_t multiple_of(const Preprocessing&) { return 1; }
int64_t multiple_of(const DenseInput& input) { return input.pad_multiple; }
const Config& backbone_of(const Config& config) { return config; }
template <typename DenseConfig>
const Config& backbone_of(const DenseConfig& config) {
  return config.backbone;
}

std::vector<OnnxOutput> add_network(GraphBuilder& graph, OnnxLayers& layers, const Config& config,
                                    const Value& input, const OnnxOptions& options) {
  return add_classifier(graph, layers, config, input, options.features);
}
std::vector<OnnxOutput> add_network(GraphBuilder& graph, OnnxLayers& layers,
                                    const DetectorConfig& config, const Value& input,
                                    const OnnxOptions&) {
  return add_detector(graph, layers, config, input);
}
std::vector<OnnxOutput> add_network(GraphBuilder& graph, OnnxLayers& layers,
                                    const SegmentorConfig& config, const Value& input,
                                    const OnnxOptions&) {
  return add_segmentor(graph, layers, config, input);
}

template <typename Spec>
OnnxInterface add_model(GraphBuilder& graph, const Spec& spec, const TensorMap& tensors,
                        const OnnxOptions& options) {
  OnnxInterface interface;
  OnnxLayers layers(graph, tensors);
  const auto& preprocessing = spec.preprocessing;
  const int64_t multiple = options.normalize ? multiple_of(preprocessing) : 1;
  const Extents input_extents(options, 1), extents(options, multiple);
  const OnnxDim batch = extents.batch(), channels = int64_t{backbone_of(spec.config).in_chans};
  const OnnxDim height = input_extents.side(true, 1), width = input_extents.side(false, 1);
  Value x;
  if (options.normalize) {
    const std::vector<OnnxDim> dims{batch, height, width, channels};
    x = graph.input("image", onnx::TensorProto::UINT8, dims);
    interface.inputs.push_back({x, "uint8", to_text(dims)});
    x = normalized(graph, x, scale_of(preprocessing), preprocessing.mean, preprocessing.std);
    x = layers.pad_to_multiple(x, multiple);
  } else {
    const std::vector<OnnxDim> dims{batch, channels, height, width};
    x = graph.input("input", onnx::TensorProto::FLOAT, dims);
    interface.inputs.push_back({x, "float32", to_text(dims)});
  }
  for (const OnnxOutput& output : add_network(graph, layers, spec.config, x, options)) {
    std::vector<OnnxDim> dims{batch, output.channels};
    if (output.stride > 0) {
      dims.push_back(extents.side(true, output.stride));
      dims.push_back(extents.side(false, output.stride));
    }
    graph.output(output.value, output.name, dims);
    interface.outputs.push_back({output.name, "float32", to_text(dims)});
  }
  return interface;
}

}  // namespace

OnnxInterface write_onnx(const std::filesystem::path& path, const ModelFile& model,
                         const OnnxOptions& options, const std::string& version) {
  validate(model.description);
  check_options(model.description, options);
  // What the file says must be true of it: the int8 layers leave the description, too.
  Description description = model.description;
  TensorMap tensors = model.tensors;
  if (is_quantized(tensors)) {
    tensors = dequantized(tensors);
    visit_spec(description, [](auto& spec) { spec.quantization = {}; });
  }
  tensors = fold_batch_norms(tensors);
  GraphBuilder graph(description.name().empty() ? "asmlp" : description.name());
  const OnnxInterface interface = visit_spec(
      description, [&](const auto& spec) { return add_model(graph, spec, tensors, options); });
  const onnx::ModelProto file = graph.take(onnx_metadata(description, options.normalize), version);
  write_file_atomically(path, [&](std::ostream& out) {
    require(file.SerializeToOstream(&out), ErrorCode::kIo, "{}: cannot be written", path.string());
  });
  return interface;
}

}  // namespace asmlp
