#include "asmlp/weights/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxRank = 64;

DType dtype_from_name(const std::string& name, const std::string& tensor, const std::string& what) {
  for (DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32,
                      DType::kI16, DType::kI8, DType::kU8, DType::kBool}) {
    if (name == to_string(dtype)) return dtype;
  }
  static const std::set<std::string> kOthers{"F4",      "F6_E2M3", "F6_E3M2",     "F8_E5M2",
                                             "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
                                             "U16",     "U32",     "U64",         "C64"};
  require(!kOthers.contains(name), ErrorCode::kUnsupported,
          "{}: tensor '{}' has dtype {}, which this reader does not know; convert it to F32 first",
          what, tensor, name);
  fail(ErrorCode::kBadFormat, "{}: tensor '{}' has the unknown dtype '{}'", what, tensor,
       name.substr(0, 40));
}

// Receives the parser's events. The only nesting the format has:
//   { "__metadata__": {text: text}, name: {"dtype": text, "shape": [..], "data_offsets": [b, e]} }
class Handler : public nlohmann::json_sax<Json> {
 public:
  Handler(Header& header, const std::string& what) : header_(header), what_(what) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return unexpected(fmt::format("the number {}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return unexpected("the number " + text.substr(0, 40));
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kOffsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    if (state_ == State::kShape && entry_.shape.size() < kMaxRank && value <= INT64_MAX) {
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    return unexpected(fmt::format("the number {}", value));
  }

  bool string(string_t& text) override {
    if (state_ == State::kMetadata) {
      header_.metadata[key_] = text;
      return true;
    }
    if (state_ == State::kEntry && key_ == "dtype") {
      entry_.dtype = dtype_from_name(text, entry_.name, what_);
      return true;
    }
    return unexpected("text");
  }

  bool start_object(size_t) override {
    if (state_ == State::kBegin) return enter(State::kRoot);
    if (state_ != State::kRoot) return unexpected("an object");
    fields_.clear();
    if (key_ == "__metadata__") return enter(State::kMetadata);
    entry_ = {};
    entry_.name = key_;
    return enter(State::kEntry);
  }

  bool key(string_t& text) override {
    std::set<std::string>& seen = state_ == State::kRoot ? names_ : fields_;
    require(seen.insert(text).second, ErrorCode::kBadFormat,
            "{}: '{}' is there twice in the header", what_, text.substr(0, 200));
    require(state_ != State::kEntry || text == "dtype" || text == "shape" || text == "data_offsets",
            ErrorCode::kBadFormat, "{}: tensor '{}' has the unknown field '{}'", what_, entry_.name,
            text.substr(0, 200));
    key_ = text;
    return true;
  }

  bool end_object() override {
    if (state_ == State::kEntry) {
      require(fields_.size() == 3, ErrorCode::kBadFormat,
              "{}: tensor '{}' lacks dtype, shape or data_offsets", what_, entry_.name);
      header_.entries.push_back(std::move(entry_));
    }
    return enter(state_ == State::kRoot ? State::kBegin : State::kRoot);
  }

  bool start_array(size_t) override {
    if (state_ == State::kEntry && key_ == "shape") return enter(State::kShape);
    if (state_ == State::kEntry && key_ == "data_offsets") {
      offsets_ = 0;
      return enter(State::kOffsets);
    }
    return unexpected("a list");
  }

  bool end_array() override {
    require(state_ != State::kOffsets || offsets_ == 2, ErrorCode::kBadFormat,
            "{}: tensor '{}': data_offsets must be two numbers", what_, entry_.name);
    return enter(State::kEntry);
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    fail(ErrorCode::kBadFormat, "{}: the header is not valid JSON at byte {}", what_, position);
  }

 private:
  enum class State { kBegin, kRoot, kMetadata, kEntry, kShape, kOffsets };

  bool enter(State state) {
    state_ = state;
    return true;
  }

  bool unexpected(const std::string& found) const {
    if (state_ == State::kMetadata) {
      fail(ErrorCode::kBadFormat, "{}: __metadata__ '{}' must be text, found {}", what_,
           key_.substr(0, 200), found);
    }
    const bool inside = state_ != State::kRoot && state_ != State::kBegin;
    fail(ErrorCode::kBadFormat, "{}: unexpected {} in the header at '{}{}{}'", what_, found,
         inside ? entry_.name.substr(0, 200) : "", inside ? "." : "", key_.substr(0, 200));
  }

  Header& header_;
  const std::string& what_;
  State state_ = State::kBegin;
  std::string key_;
  HeaderEntry entry_;
  int offsets_ = 0;
  std::set<std::string> names_;   // keys of the root
  std::set<std::string> fields_;  // keys of the object inside it that is open
};

}  // namespace

Header parse_safetensors_header(std::string_view text, const std::string& what) {
  Header header;
  Handler handler(header, what);
  Json::sax_parse(text.begin(), text.end(), &handler);
  return header;
}

}  // namespace asmlp
