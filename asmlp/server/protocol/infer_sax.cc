#include "asmlp/server/protocol/infer_sax.h"

#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/server/protocol/infer.h"

namespace asmlp::server {
namespace {

using nlohmann::json;

class InferSax : public nlohmann::json_sax<json> {
 public:
  explicit InferSax(InferJson& out) : out_(out) {}

  bool null() override { return leaf(nullptr); }
  bool boolean(bool value) override { return leaf(value); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override { return number(value); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override {
    if (data_depth_ == 0) return leaf(std::move(value));
    out_.data.back().texts.push_back(std::move(value));
    return true;
  }
  bool binary(binary_t&) override { return false; }  // not of JSON text

  bool start_object(std::size_t) override {
    refuse_in_data("an object; BYTES are base64 text in JSON");
    return open(json::object());
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override {
    if (data_depth_ > 0) {
      require(++data_depth_ <= kMaxInferDepth, ErrorCode::kTooLarge,
              "\"data\" is nested more than {} deep", kMaxInferDepth);
      return true;
    }
    if (!is_data()) return open(json::array());
    require(out_.data.size() < kMaxInferTensors, ErrorCode::kTooLarge,
            "more than {} tensors of data", kMaxInferTensors);
    leaf(json::binary({}, out_.data.size()));  // what no text can be
    out_.data.emplace_back();
    data_depth_ = 1;
    return true;
  }
  bool end_array() override {
    if (data_depth_ == 0) return close();
    --data_depth_;
    return true;
  }
  bool key(string_t& name) override {
    key_ = std::move(name);
    if (stack_.size() == 1) root_key_ = key_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    fail(ErrorCode::kBadFormat, "the request is no JSON: an error at byte {}", position);
  }

 private:
  // At the member "data" of an element of the root's "inputs".
  bool is_data() const {
    return stack_.size() == 3 && root_key_ == "inputs" && stack_[1]->is_array() &&
           stack_[2]->is_object() && key_ == "data";
  }

  void refuse_in_data(const char* what) const {
    require(data_depth_ == 0, ErrorCode::kBadFormat, "\"data\" holds {}", what);
  }

  template <typename Number>
  bool number(Number value) {
    if (data_depth_ == 0) return leaf(value);
    const auto narrow = static_cast<float>(value);
    require(std::isfinite(narrow), ErrorCode::kBadFormat, "\"data\" holds a number beyond FP32");
    out_.data.back().numbers.push_back(narrow);
    return true;
  }

  json* put(json value) {
    require(++values_ <= kMaxInferValues, ErrorCode::kTooLarge, "more than {} values besides data",
            kMaxInferValues);
    if (stack_.empty()) {
      require(value.is_object(), ErrorCode::kBadFormat, "the request is no JSON object");
      out_.root = std::move(value);
      return &out_.root;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& member = parent[key_];
    member = std::move(value);
    return &member;
  }
  bool leaf(json value) {
    refuse_in_data("null or a boolean");
    put(std::move(value));
    return true;
  }
  bool open(json value) {
    require(static_cast<int>(stack_.size()) < kMaxInferDepth, ErrorCode::kTooLarge,
            "the request is nested more than {} deep", kMaxInferDepth);
    stack_.push_back(put(std::move(value)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  InferJson& out_;
  std::vector<json*> stack_;  // the open containers outside of data
  std::string key_, root_key_;
  int data_depth_ = 0;
  size_t values_ = 0;
};

}  // namespace

InferJson read_infer_json(std::string_view text) {
  InferJson result;
  InferSax sax(result);
  require(json::sax_parse(text, &sax), ErrorCode::kBadFormat, "the request is no JSON");
  return result;
}

}  // namespace asmlp::server
