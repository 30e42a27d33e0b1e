// Requests and answers of inference in the Open Inference Protocol (KServe V2), as JSON and with
// Triton's binary tensor extension.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace asmlp::server {

// Limits of what is no tensor data.
inline constexpr size_t kMaxInferValues = 4096;  // JSON values
inline constexpr int kMaxInferDepth = 32;        // of nesting, in tensor data too
inline constexpr size_t kMaxInferTensors = 64;

struct InputTensor {
  std::string name;
  std::string datatype;  // "FP32" or "BYTES"
  std::vector<int64_t> shape;
  std::vector<float> floats;       // of FP32: as many as the shape says
  std::vector<std::string> bytes;  // of BYTES: as many as the shape says; JSON's are base64
};

struct WantedOutput {
  std::string name;
  bool binary = false;     // as bytes behind the JSON
  int classification = 0;  // k > 0: the k largest values as "value:index:label"
};

struct InferRequest {
  std::string id;
  std::vector<InputTensor> inputs;
  std::vector<WantedOutput> outputs;  // empty: all
  bool binary = false;                // of outputs that are not listed
};

// `head` is the value of Inference-Header-Content-Length: how many bytes of the body are JSON; the
// tensors of inputs with binary_data_size follow in their order. "" for a body that is all JSON.
// Error(kBadFormat) says which member is wrong; kUnsupported for datatypes other than FP32 and
// BYTES; kTooLarge beyond the limits above. Memory stays a small multiple of the body's size.
InferRequest parse_infer(std::string_view body, const std::string& head);

struct OutputTensor {
  using Values = std::variant<std::vector<float>, std::vector<int32_t>, std::vector<int64_t>,
                              std::vector<std::string>>;  // FP32, INT32, INT64, BYTES
  std::string name;
  std::vector<int64_t> shape;
  Values values;
  bool binary = false;
  bool text = true;  // of BYTES: as text in JSON, else in base64
};

struct InferAnswer {
  std::string body;
  std::optional<size_t> head;  // Inference-Header-Content-Length, with binary outputs
};

// {"model_name", "model_version", "id" if there is one, "outputs": [...]}, and the binary outputs.
InferAnswer format_infer(const std::string& model, const std::string& id,
                         const std::vector<OutputTensor>& outputs);

// "FP32", "INT32", "INT64", "BYTES".
const char* datatype_of(const OutputTensor::Values& values);

// The only version of every model.
inline constexpr const char* kModelVersion = "1";

}  // namespace asmlp::server
