#include "asmlp/onnx/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "asmlp/model/params.h"
#include "asmlp/onnx/graph_builder.h"
#include "asmlp/weights/fill.h"
#include "tests/support/random_config.h"
#include "tests/support/small_specs.h"
#include "tests/support/support.h"

namespace asmlp::test::export_test {
namespace {

using testing::HasSubstr;

template <typename Spec>
TensorMap filled(const Spec& config) {
  TensorMap tensors;
  for (const Param& param : parameter_table(config)) {
    tensors[param.name] = fill_tensor(param.name, param.shape);
    if (!param.name.ends_with("running_var")) continue;
    tensors[param.name] = make_tensor(
        param.shape, std::vector<float>(static_cast<size_t>(element_count(param.shape)), 1.5f));
  }
  return tensors;
}

ModelFile classifier(const Config& config) {
  ModelSpec spec;
  spec.name = "small";
  spec.config = config;
  spec.preprocessing = default_preprocessing(config, 32);
  spec.origin = {{"license", "none"}};
  return {{Architecture{spec, AsMlpFamily{}}}, filled(config), {}};
}

Config small_config() {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 2};
  config.num_classes = 3;
  return config;
}

class OnnxExport : public testing::Test {
 protected:
  onnx::ModelProto written(const ModelFile& model, const OnnxOptions& options = {}) {
    interface_ = write_onnx(path_, model, options, "1.2.3");
    onnx::ModelProto file;
    std::ifstream in(path_, std::ios::binary);
    EXPECT_TRUE(file.ParseFromIstream(&in));
    return file;
  }

  // The file once the checker took it, with the shapes that follow from those of the inputs.
  static onnx::ModelProto checked(onnx::ModelProto file) {
    onnx::checker::check_model(file);
    const onnx::ShapeInferenceOptions strict(/*check_type=*/true, /*strict_mode=*/1,
                                             /*data_propagation=*/true);
    onnx::shape_inference::InferShapes(file, onnx::OpSchemaRegistry::Instance(), strict);
    return file;
  }

  static std::string metadata(const onnx::ModelProto& file, const std::string& key) {
    for (const auto& entry : file.metadata_props()) {
      if (entry.key() == key) return entry.value();
    }
    return "none";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "model.onnx";
  OnnxInterface interface_;
};

std::vector<int64_t> shape_of(const onnx::ValueInfoProto& value) {
  std::vector<int64_t> extents;
  for (const auto& dim : value.type().tensor_type().shape().dim()) {
    extents.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  }
  return extents;
}

TEST_F(OnnxExport, EveryConfigIsAValidGraphWithTheWeightsOfTheModel) {
  std::mt19937 random(29);
  const ConfigChoices choices{.in_chans = {1, 3, 4},
                              .num_classes = {0, 5},
                              .embed_dim = {4, 8},
                              .stages = {1, 2, 3},
                              .blocks = {0, 1, 2},
                              .patch_size = {1, 2, 4, 8},
                              .mlp_ratio = {1, 2.5, 4},
                              .shift_h = {1, 2, 5},
                              .shift_w = {1, 3, 9},
                              .dilation = {1, 3}};
  for (int i = 0; i < 40; ++i) {
    const Config config = random_config(random, choices);
    const ModelFile model = classifier(config);
    SCOPED_TRACE(to_json(model.description));
    OnnxOptions options;
    options.features = i % 2 == 0;
    options.normalize = i % 3 == 0;
    if (i % 4 == 0) options.size = MapSize{37, 52};
    const onnx::ModelProto file = checked(written(model, options));
    ASSERT_EQ(file.opset_import_size(), 1);
    EXPECT_EQ(file.opset_import(0).version(), 17);
    // Every parameter that the outputs depend on, under its own name and to the bit.
    std::map<std::string, const onnx::TensorProto*> weights;
    for (const auto& tensor : file.graph().initializer()) weights[tensor.name()] = &tensor;
    for (const auto& [name, tensor] : model.tensors) {
      if (config.num_classes == 0 && name.starts_with("norm.")) continue;
      ASSERT_TRUE(weights.contains(name)) << name;
      const std::string& bytes = weights[name]->raw_data();
      const std::vector<float> values = to_f32(tensor);
      ASSERT_EQ(bytes.size(), values.size() * sizeof(float)) << name;
      EXPECT_EQ(std::memcmp(bytes.data(), values.data(), bytes.size()), 0) << name;
    }
    const size_t maps = config.num_classes == 0 || options.features ? config.depths.size() + 1 : 0;
    ASSERT_EQ(interface_.outputs.size(), maps + (config.num_classes > 0 ? 1 : 0));
    ASSERT_EQ(file.graph().output_size(), std::ssize(interface_.outputs));
    for (int k = 0; k < file.graph().output_size(); ++k) {
      EXPECT_EQ(file.graph().output(k).name(), interface_.outputs[static_cast<size_t>(k)].name);
    }
  }
}

TEST_F(OnnxExport, ExtentsOfAFixedInputFollowThroughTheGraph) {
  Config config = small_config();
  config.depths = {1, 1, 1};
  OnnxOptions options{.batch = 2, .size = MapSize{45, 67}, .features = true};
  onnx::ModelProto file = written(classifier(config), options);
  const auto declared = file.graph().output();
  EXPECT_EQ(shape_of(declared[0]), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(shape_of(declared[2]), (std::vector<int64_t>{2, 16, 6, 9}));
  EXPECT_EQ(interface_.inputs[0].shape, "[2, 3, 45, 67]");
  // What the inference of shapes finds by itself.
  for (auto& output : *file.mutable_graph()->mutable_output()) {
    for (auto& dim :
         *output.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      dim.clear_dim_value();
    }
  }
  const onnx::ModelProto inferred = checked(file);
  ASSERT_EQ(inferred.graph().output_size(), 5);
  for (int k = 0; k < declared.size(); ++k) {
    EXPECT_EQ(shape_of(inferred.graph().output(k)), shape_of(declared[k])) << declared[k].name();
  }
}

TEST_F(OnnxExport, OpenExtentsHaveNames) {
  written(classifier(small_config()), {.features = true, .normalize = true});
  EXPECT_EQ(interface_.inputs[0].name, "image");
  EXPECT_EQ(interface_.inputs[0].type, "uint8");
  EXPECT_EQ(interface_.inputs[0].shape, "[N, H, W, 3]");
  EXPECT_EQ(interface_.outputs[0].shape, "[N, 3]");
  EXPECT_EQ(interface_.outputs[2].shape, "[N, 16, H/8, W/8]");
}

TEST_F(OnnxExport, SaysWhatTheModelIs) {
  const ModelFile model = classifier(small_config());
  const onnx::ModelProto file = written(model);
  EXPECT_EQ(file.producer_name(), "asmlp");
  EXPECT_EQ(file.producer_version(), "1.2.3");
  EXPECT_EQ(description_from_json(metadata(file, "asmlp"), "file"), model.description);
  EXPECT_EQ(metadata(file, "task"), "classify");
  EXPECT_EQ(metadata(file, "size"), "32");
  EXPECT_EQ(metadata(file, "mean"), "0.485,0.456,0.406");
  EXPECT_EQ(metadata(file, "channel_order"), "RGB");
  EXPECT_EQ(metadata(file, "normalization"), "before the graph");
  EXPECT_EQ(nlohmann::json::parse(metadata(file, "origin"))["license"], "none");
  EXPECT_EQ(metadata(written(model, {.normalize = true}), "normalization"), "in the graph");
}

TEST_F(OnnxExport, DetectorsAndSegmentorsAreValidGraphs) {
  for (const DetectorKind kind : {DetectorKind::kMaskRcnn, DetectorKind::kCascadeRcnn}) {
    const DetectorSpec spec = detect::small_spec(kind);
    const ModelFile model{{spec}, filled(spec.config), {}};
    for (const bool normalize : {false, true}) {
      checked(written(model, {.normalize = normalize}));
      ASSERT_EQ(interface_.outputs.size(), 12u);  // three of each of four levels
      EXPECT_EQ(interface_.outputs[4].name, "rpn.logits.1");
      EXPECT_EQ(interface_.outputs[4].shape, "[N, 3, H/8, W/8]");
    }
    EXPECT_THAT(error_of(ErrorCode::kUnsupported, [&] { written(model, {.features = true}); }),
                HasSubstr("detector"));
  }
  SegmentorSpec spec;
  spec.name = "small";
  spec.config = segment::small_segmentor_config();
  spec.preprocessing = segment::small_input();
  const onnx::ModelProto file = checked(written({{spec}, filled(spec.config), {}}));
  ASSERT_EQ(interface_.outputs.size(), 1u);
  EXPECT_EQ(interface_.outputs[0].shape, "[N, 5, H/4, W/4]");
  EXPECT_EQ(metadata(file, "short_side"), "40");
  for (const auto& tensor : file.graph().initializer()) {
    EXPECT_FALSE(tensor.name().starts_with("auxiliary_head")) << "only training has this";
  }
}

TEST_F(OnnxExport, QuantizedWeightsAreTheNumbersThatTheyStandFor) {
  ModelFile model = classifier(small_config());
  const std::string layer = "layers.0.blocks.0.mlp.fc1";
  auto bytes = std::make_shared<std::vector<std::byte>>(32 * 8);
  for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = static_cast<std::byte>(int(i) - 127);
  (*bytes)[255] = std::byte{3};  // -128 is no weight
  model.tensors[layer + ".weight"] = {DType::kI8, {32, 8, 1, 1}, *bytes, bytes};
  model.tensors[layer + ".weight_scale"] = make_tensor({32}, std::vector<float>(32, 0.25f));
  model.tensors[layer + ".input_scale"] = make_tensor({1}, {1});
  model.tensors[layer + ".input_zero_point"] = make_tensor({1}, {0});
  const onnx::ModelProto file = checked(written(model));
  for (const auto& tensor : file.graph().initializer()) {
    EXPECT_NE(tensor.name(), layer + ".weight_scale");
    if (tensor.name() != layer + ".weight") continue;
    float values[2];
    std::memcpy(values, tensor.raw_data().data(), sizeof values);
    EXPECT_EQ(values[0], -127 * 0.25f);
    EXPECT_EQ(values[1], -126 * 0.25f);
  }
}

TEST_F(OnnxExport, WhatCannotBeWrittenIsSaid) {
  const ModelFile model = classifier(small_config());
  const auto message = [&](ErrorCode code, const OnnxOptions& options) {
    return error_of(code, [&] { written(model, options); });
  };
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, {.batch = 0}), HasSubstr("batch size is 0"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, {.size = MapSize{32, 20000}}),
              HasSubstr("20000 pixels"));
  EXPECT_FALSE(std::filesystem::exists(path_));

  const Description swin = named_description("swin_mobile_patch4_window7_224");
  EXPECT_THAT(error_of(ErrorCode::kUnsupported,
                       [&] {
                         written({swin, {}, {}});
                       }),
              HasSubstr("baseline"));
  ModelFile lacking = model;
  lacking.tensors.erase("layers.0.blocks.0.norm1.weight");
  EXPECT_THAT(error_of(ErrorCode::kMismatch, [&] { written(lacking); }), HasSubstr("norm1.weight"));
  path_ = folder_.path() / "missing" / "model.onnx";
  EXPECT_THAT(error_of(ErrorCode::kNotFound, [&] { written(model); }), HasSubstr("missing"));
}

TEST(GraphBuilder, KeepsItsLimitAndStoresConstantsOnce) {
  GraphBuilder graph("small", /*max_bytes=*/400);
  EXPECT_EQ(graph.ints({1, 2}), graph.ints({1, 2}));
  EXPECT_NE(graph.ints({1, 2}), graph.ints({1, 3}));
  EXPECT_NE(graph.floats({0}, {1}), graph.scalar(0));
  const Tensor tensor = fill_tensor("a", {64});
  EXPECT_EQ(graph.weight("a", tensor, {64}), "a");
  EXPECT_EQ(graph.weight("a", tensor, {64}), "a");  // of layers that share it
  EXPECT_THAT(error_of(ErrorCode::kMismatch,
                       [&] {
                         graph.weight("a", tensor, {8, 8});
                       }),
              HasSubstr("[8, 8]"));
  EXPECT_THAT(error_of(ErrorCode::kTooLarge, [&] { graph.weight("b", tensor, {64}); }),
              HasSubstr("too large"));
  // The names count, too.
  EXPECT_THAT(error_of(ErrorCode::kTooLarge,
                       [&] {
                         graph.take({{"key", std::string(200, 'x')}}, "1");
                       }),
              HasSubstr("400"));
}

}  // namespace
}  // namespace asmlp::test::export_test
