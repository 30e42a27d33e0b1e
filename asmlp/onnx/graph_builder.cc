#include "asmlp/onnx/graph_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// raw_data is little endian, as the memory of every machine that this is built for.
static_assert(std::endian::native == std::endian::little);

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

void describe_value(onnx::ValueInfoProto& info, const std::string& name, int type,
                    const std::vector<OnnxDim>& dims) {
  info.set_name(name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();  // there even when it has no extents
  for (const OnnxDim& dim : dims) {
    auto* to = tensor->mutable_shape()->add_dim();
    if (const auto* number = std::get_if<int64_t>(&dim)) {
      to->set_dim_value(*number);
    } else {
      to->set_dim_param(std::get<std::string>(dim));
    }
  }
}

void set_attribute(onnx::AttributeProto& to, const char* name, const OnnxAttribute& value) {
  to.set_name(name);
  if (const auto* number = std::get_if<int64_t>(&value)) {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(*number);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    to.set_type(onnx::AttributeProto::STRING);
    to.set_s(*text);
  } else {
    to.set_type(onnx::AttributeProto::INTS);
    for (const int64_t i : std::get<std::vector<int64_t>>(value)) to.add_ints(i);
  }
}

}  // namespace

GraphBuilder::GraphBuilder(std::string name, int64_t max_bytes)
    : graph_(*model_.mutable_graph()), max_bytes_(max_bytes) {
  graph_.set_name(std::move(name));
}

GraphBuilder::Value GraphBuilder::input(const std::string& name, int type,
                                        const std::vector<OnnxDim>& dims) {
  describe_value(*graph_.add_input(), name, type, dims);
  return name;
}

void GraphBuilder::output(const Value& value, const std::string& name,
                          const std::vector<OnnxDim>& dims) {
  const bool is_input = std::any_of(graph_.input().begin(), graph_.input().end(),
                                    [&](const auto& input) { return input.name() == value; });
  if (is_input || renamed_.contains(value)) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type("Identity");
    node.set_name("output." + name);
    node.add_input(current(value));
    node.add_output(name);
  } else {
    // Without a node between, which would leave the value with two names in some runtimes.
    renamed_[value] = name;
    for (onnx::NodeProto& node : *graph_.mutable_node()) {
      for (std::string& input : *node.mutable_input()) {
        if (input == value) input = name;
      }
      if (node.output(0) == value) node.set_output(0, name);
    }
  }
  describe_value(*graph_.add_output(), name, onnx::TensorProto::FLOAT, dims);
}

const GraphBuilder::Value& GraphBuilder::current(const Value& value) const {
  const auto renamed = renamed_.find(value);
  return renamed == renamed_.end() ? value : renamed->second;
}

GraphBuilder::Value GraphBuilder::node(const char* op, const std::vector<Value>& inputs,
                                       Attributes attributes) {
  const std::string wanted = scope_ + op;
  const int count = used_[wanted]++;
  const std::string name = count == 0 ? wanted : fmt::format("{}_{}", wanted, count);
  onnx::NodeProto& node = *graph_.add_node();
  node.set_op_type(op);
  node.set_name(name);
  for (const Value& input : inputs) node.add_input(current(input));
  node.add_output(name);
  for (const auto& [key, value] : attributes) set_attribute(*node.add_attribute(), key, value);
  return name;
}

void GraphBuilder::grow(int64_t bytes) {
  bytes_ += bytes;
  require(bytes_ <= max_bytes_, ErrorCode::kTooLarge,
          "the model is too large for one ONNX file: its fp32 weights are more than {} bytes, the "
          "limit of Protocol Buffers",
          max_bytes_);
}

onnx::TensorProto* GraphBuilder::initializer(const std::string& name, int type,
                                             const Shape& shape) {
  onnx::TensorProto* tensor = graph_.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(type);
  for (const int64_t extent : shape) tensor->add_dims(extent);
  return tensor;
}

GraphBuilder::Value GraphBuilder::weight(const std::string& name, const Tensor& tensor,
                                         const Shape& shape) {
  require(element_count(shape) == element_count(tensor.shape), ErrorCode::kMismatch,
          "'{}' has shape {}, expected as many values as {}", name, to_string(tensor.shape),
          to_string(shape));
  const auto [known, is_new] = weights_.try_emplace(name, shape);
  if (!is_new) {
    require(known->second == shape, ErrorCode::kMismatch, "'{}' is wanted as {} and as {}", name,
            to_string(known->second), to_string(shape));
    return name;
  }
  grow(element_count(shape) * int64_t{sizeof(float)});
  *initializer(name, onnx::TensorProto::FLOAT, shape)->mutable_raw_data() =
      bytes_of(to_f32(tensor));
  release_pages(tensor);
  return name;
}

GraphBuilder::Value GraphBuilder::raw_constant(const std::string& name, int type,
                                               const Shape& shape, std::string bytes) {
  const std::string key = fmt::format("{} {} ", type, to_string(shape)) + bytes;
  const auto [known, is_new] = constants_.try_emplace(key, "");
  if (is_new) {
    grow(static_cast<int64_t>(bytes.size()));
    known->second = fmt::format("{}.{}", name, constants_.size() - 1);
    initializer(known->second, type, shape)->set_raw_data(std::move(bytes));
  }
  return known->second;
}

GraphBuilder::Value GraphBuilder::ints(const std::vector<int64_t>& values) {
  return raw_constant("constant.ints", onnx::TensorProto::INT64,
                      {static_cast<int64_t>(values.size())}, bytes_of(values));
}

GraphBuilder::Value GraphBuilder::int_scalar(int64_t value) {
  return raw_constant("constant.int", onnx::TensorProto::INT64, {},
                      bytes_of(std::vector<int64_t>{value}));
}

GraphBuilder::Value GraphBuilder::floats(const std::vector<float>& values, const Shape& shape) {
  return raw_constant("constant.floats", onnx::TensorProto::FLOAT, shape, bytes_of(values));
}

onnx::ModelProto GraphBuilder::take(const std::map<std::string, std::string>& metadata,
                                    const std::string& version) {
  model_.set_ir_version(kOnnxIrVersion);
  model_.set_producer_name("asmlp");
  model_.set_producer_version(version);
  auto* opset = model_.add_opset_import();
  opset->set_domain("");
  opset->set_version(kOnnxOpset);
  for (const auto& [key, value] : metadata) {
    auto* entry = model_.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
  require(model_.ByteSizeLong() <= static_cast<size_t>(max_bytes_), ErrorCode::kTooLarge,
          "the model is too large for one ONNX file: {} bytes, the limit of Protocol Buffers is {}",
          model_.ByteSizeLong(), max_bytes_);
  return std::move(model_);
}

}  // namespace asmlp
