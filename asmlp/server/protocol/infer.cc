#include "asmlp/server/protocol/infer.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/server/protocol/base64.h"
#include "asmlp/server/protocol/infer_sax.h"

namespace asmlp::server {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");

const json* member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* name, const std::string& where) {
  const json* value = member(object, name);
  require(value != nullptr && value->is_string(), ErrorCode::kBadFormat,
          "{}: \"{}\" must be a text", where, name);
  return value->get<std::string>();
}

const json* parameters_of(const json& object, const std::string& where) {
  const json* value = member(object, "parameters");
  require(value == nullptr || value->is_object(), ErrorCode::kBadFormat,
          "{}: \"parameters\" must be an object", where);
  return value;
}

bool flag_of(const json* parameters, const char* name, bool otherwise) {
  const json* value = parameters == nullptr ? nullptr : member(*parameters, name);
  require(value == nullptr || value->is_boolean(), ErrorCode::kBadFormat,
          "the parameter \"{}\" must be true or false", name);
  return value == nullptr ? otherwise : value->get<bool>();
}

// An array of objects; null where there is none.
const json* list_of(const json& root, const char* name) {
  const json* list = member(root, name);
  if (list == nullptr) return nullptr;
  require(list->is_array() && list->size() <= kMaxInferTensors, ErrorCode::kBadFormat,
          "\"{}\" must be a list of up to {} objects", name, kMaxInferTensors);
  for (const json& one : *list) {
    require(one.is_object(), ErrorCode::kBadFormat, "\"{}\" must be a list of objects", name);
  }
  return list;
}

// The number of elements. At most 2^40, so that products with sizes of elements do not overflow.
uint64_t read_shape(const json& object, InputTensor& tensor) {
  const json* shape = member(object, "shape");
  require(shape != nullptr && shape->is_array() && !shape->empty() && shape->size() <= 8,
          ErrorCode::kBadFormat, "input {}: \"shape\" must be a list of 1 to 8 sizes", tensor.name);
  uint64_t count = 1;
  for (const json& side : *shape) {
    require(side.is_number_unsigned() && side.get<uint64_t>() <= (uint64_t{1} << 31),
            ErrorCode::kBadFormat, "input {}: \"shape\" must hold sizes from 0 to 2^31",
            tensor.name);
    tensor.shape.push_back(side.get<int64_t>());
    count *= side.get<uint64_t>();
    require(count <= uint64_t{1} << 40, ErrorCode::kTooLarge, "input {}: the shape is too large",
            tensor.name);
  }
  return count;
}

void check_count(const InputTensor& tensor, uint64_t wanted, size_t found) {
  require(wanted == found, ErrorCode::kBadFormat,
          "input {}: the shape has {} elements, the data {}", tensor.name, wanted, found);
}

void read_json_data(InferData data, uint64_t count, InputTensor& tensor) {
  if (tensor.datatype == "FP32") {
    require(data.texts.empty(), ErrorCode::kBadFormat, "input {}: FP32 data holds text",
            tensor.name);
    check_count(tensor, count, data.numbers.size());
    tensor.floats = std::move(data.numbers);
    return;
  }
  require(data.numbers.empty(), ErrorCode::kBadFormat,
          "input {}: BYTES data holds numbers; give base64 text", tensor.name);
  check_count(tensor, count, data.texts.size());
  for (const std::string& text : data.texts) {
    std::optional<std::string> bytes = decode_base64(text);
    require(bytes.has_value(), ErrorCode::kBadFormat,
            "input {}: BYTES data is no base64; raw bytes need the binary tensor extension",
            tensor.name);
    tensor.bytes.push_back(*std::move(bytes));
  }
}

void read_binary_data(std::string_view data, uint64_t count, InputTensor& tensor) {
  if (tensor.datatype == "FP32") {
    check_count(tensor, count, data.size() / sizeof(float));
    require(data.size() % sizeof(float) == 0, ErrorCode::kBadFormat,
            "input {}: {} bytes are no FP32 data", tensor.name, data.size());
    tensor.floats.resize(data.size() / sizeof(float));
    if (!data.empty()) std::memcpy(tensor.floats.data(), data.data(), data.size());
    return;
  }
  while (!data.empty()) {
    uint32_t length = 0;
    require(data.size() >= sizeof length, ErrorCode::kBadFormat,
            "input {}: BYTES data ends within a length", tensor.name);
    std::memcpy(&length, data.data(), sizeof length);
    data.remove_prefix(sizeof length);
    require(length <= data.size() && tensor.bytes.size() < kMaxInferValues, ErrorCode::kBadFormat,
            "input {}: an element of {} bytes does not fit into the data", tensor.name, length);
    tensor.bytes.emplace_back(data.substr(0, length));
    data.remove_prefix(length);
  }
  check_count(tensor, count, tensor.bytes.size());
}

// Takes what it has of binary data from the front of `binary`.
InputTensor read_input(const json& object, std::vector<InferData>& data, std::string_view& binary) {
  InputTensor tensor;
  tensor.name = text_of(object, "name", "an input");
  tensor.datatype = text_of(object, "datatype", "input " + tensor.name);
  require(tensor.datatype == "FP32" || tensor.datatype == "BYTES", ErrorCode::kUnsupported,
          "input {}: the datatype is {}; FP32 and BYTES are accepted", tensor.name,
          tensor.datatype);
  const uint64_t count = read_shape(object, tensor);
  const json* parameters = parameters_of(object, "input " + tensor.name);
  const json* size = parameters == nullptr ? nullptr : member(*parameters, "binary_data_size");
  const json* index = member(object, "data");
  require((size == nullptr) != (index == nullptr), ErrorCode::kBadFormat,
          "input {}: give either \"data\" or the parameter \"binary_data_size\"", tensor.name);
  if (index != nullptr) {
    require(index->is_binary(), ErrorCode::kBadFormat, "input {}: \"data\" must be a list",
            tensor.name);
    read_json_data(std::move(data.at(index->get_binary().subtype())), count, tensor);
    return tensor;
  }
  require(size->is_number_unsigned() && size->get<uint64_t>() <= binary.size(),
          ErrorCode::kBadFormat,
          "input {}: binary_data_size is {}, {} bytes of the body are left after the JSON",
          tensor.name, size->dump(), binary.size());
  read_binary_data(binary.substr(0, size->get<size_t>()), count, tensor);
  binary.remove_prefix(size->get<size_t>());
  return tensor;
}

WantedOutput read_output(const json& object, bool binary) {
  WantedOutput output;
  output.name = text_of(object, "name", "an output");
  const json* parameters = parameters_of(object, "output " + output.name);
  output.binary = flag_of(parameters, "binary_data", binary);
  if (const json* k = parameters == nullptr ? nullptr : member(*parameters, "classification")) {
    require(k->is_number_unsigned() && k->get<uint64_t>() <= 1 << 20, ErrorCode::kBadFormat,
            "output {}: \"classification\" must be a number of classes", output.name);
    output.classification = k->get<int>();
  }
  return output;
}

template <typename Number>
void append_binary(const std::vector<Number>& values, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number));
}
void append_binary(const std::vector<std::string>& values, std::string& bytes) {
  for (const std::string& value : values) {
    const auto length = static_cast<uint32_t>(value.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += value;
  }
}

}  // namespace

InferRequest parse_infer(std::string_view body, const std::string& head) {
  size_t length = body.size();
  if (!head.empty()) {
    const auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), length);
    require(error == std::errc() && end == head.data() + head.size() && length <= body.size(),
            ErrorCode::kBadFormat,
            "Inference-Header-Content-Length is no number of bytes of the body, which has {}",
            body.size());
  }
  InferJson parsed = read_infer_json(body.substr(0, length));
  std::string_view binary = body.substr(length);
  InferRequest request;
  if (member(parsed.root, "id") != nullptr) request.id = text_of(parsed.root, "id", "the request");
  const json* parameters = parameters_of(parsed.root, "the request");
  request.binary = flag_of(parameters, "binary_data_output", false);
  const json* inputs = list_of(parsed.root, "inputs");
  require(inputs != nullptr && !inputs->empty(), ErrorCode::kBadFormat,
          "\"inputs\" must be a list of tensors");
  for (const json& input : *inputs) {
    request.inputs.push_back(read_input(input, parsed.data, binary));
  }
  require(binary.empty(), ErrorCode::kBadFormat,
          "{} bytes of the body are left that no input has as binary_data_size", binary.size());
  if (const json* outputs = list_of(parsed.root, "outputs")) {
    for (const json& output : *outputs) {
      request.outputs.push_back(read_output(output, request.binary));
    }
  }
  return request;
}

const char* datatype_of(const OutputTensor::Values& values) {
  constexpr const char* kNames[]{"FP32", "INT32", "INT64", "BYTES"};
  return kNames[values.index()];
}

InferAnswer format_infer(const std::string& model, const std::string& id,
                         const std::vector<OutputTensor>& outputs) {
  nlohmann::ordered_json root{{"model_name", model}, {"model_version", kModelVersion}};
  if (!id.empty()) root["id"] = id;
  std::string bytes;
  bool any_binary = false;
  auto& list = root["outputs"] = nlohmann::ordered_json::array();
  for (const OutputTensor& output : outputs) {
    nlohmann::ordered_json entry{
        {"name", output.name}, {"datatype", datatype_of(output.values)}, {"shape", output.shape}};
    if (output.binary) {
      const size_t before = bytes.size();
      std::visit([&](const auto& values) { append_binary(values, bytes); }, output.values);
      entry["parameters"] = {{"binary_data_size", bytes.size() - before}};
      any_binary = true;
    } else if (const auto* texts = std::get_if<std::vector<std::string>>(&output.values);
               texts != nullptr && !output.text) {
      auto& data = entry["data"] = nlohmann::ordered_json::array();
      for (const std::string& value : *texts) data.push_back(encode_base64(value));
    } else {
      std::visit([&](const auto& values) { entry["data"] = values; }, output.values);
    }
    list.push_back(std::move(entry));
  }
  InferAnswer answer;
  answer.body = root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (any_binary) answer.head = answer.body.size();
  answer.body += bytes;
  return answer;
}

}  // namespace asmlp::server
