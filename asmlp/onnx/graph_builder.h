// Puts an ONNX graph together: values by name, nodes in the order of their computation, weights.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp {

// Of the standard operators ("" is ONNX's own domain), and the form of the file that goes with it.
inline constexpr int kOnnxOpset = 17;
inline constexpr int kOnnxIrVersion = 8;
// What Protocol Buffers can hold in one message: 2 GiB - 1.
inline constexpr int64_t kMaxOnnxBytes = (int64_t{1} << 31) - 1;

// An extent of an input or output: a number, or the name of one that is known at run time only.
using OnnxDim = std::variant<int64_t, std::string>;
// What the attributes of the operators in use are.
using OnnxAttribute = std::variant<int64_t, std::vector<int64_t>, std::string>;

// A value of the graph is its name.
class GraphBuilder {
 public:
  using Value = std::string;
  using Attributes = std::initializer_list<std::pair<const char*, OnnxAttribute>>;

  // Weights of more than `max_bytes` are an Error(kTooLarge).
  explicit GraphBuilder(std::string name, int64_t max_bytes = kMaxOnnxBytes);

  // Names of nodes begin with this from now on, e.g. "layers.0.blocks.1.".
  void scope(std::string prefix) { scope_ = std::move(prefix); }

  // An input of the graph. `type` is onnx::TensorProto::FLOAT or UINT8.
  Value input(const std::string& name, int type, const std::vector<OnnxDim>& dims);
  // Makes `value` the fp32 output of the graph called `name`. It may be read by other nodes, before
  // and after, and be an output under a second name, too.
  void output(const Value& value, const std::string& name, const std::vector<OnnxDim>& dims);

  // The one output of a new node.
  Value node(const char* op, const std::vector<Value>& inputs, Attributes attributes = {});

  // A weight, as fp32; `shape` is that of the graph and has as many elements.
  Value weight(const std::string& name, const Tensor& tensor, const Shape& shape);
  // Constants. Equal ones are stored once.
  Value ints(const std::vector<int64_t>& values);  // int64 [n]
  Value floats(const std::vector<float>& values, const Shape& shape);
  Value scalar(float value) { return floats({value}, {}); }
  Value int_scalar(int64_t value);

  // The whole, with the metadata as it is. Afterwards the builder is empty.
  // Error(kTooLarge) when it is more than the limit.
  onnx::ModelProto take(const std::map<std::string, std::string>& metadata,
                        const std::string& version);

 private:
  const Value& current(const Value& value) const;  // its name by now
  onnx::TensorProto* initializer(const std::string& name, int type, const Shape& shape);
  Value raw_constant(const std::string& name, int type, const Shape& shape, std::string bytes);
  void grow(int64_t bytes);

  onnx::ModelProto model_;
  onnx::GraphProto& graph_;
  int64_t max_bytes_, bytes_ = 0;
  std::string scope_;
  std::map<std::string, int> used_;         // names of nodes, and how often they were asked for
  std::map<std::string, Value> constants_;  // by type, shape, and bytes
  std::map<std::string, Shape> weights_;
  std::map<Value, Value> renamed_;  // to outputs
};

}  // namespace asmlp
