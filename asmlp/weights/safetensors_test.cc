#include "asmlp/weights/safetensors.h"

#include <random>

#include "tests/support/weight_files.h"

namespace asmlp::safetensors_test {
namespace {

using test::as_bytes;
using test::error_of;
using test::expect_words;

std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header + data;
}

TensorFile parse(const std::string& bytes) {
  return parse_safetensors(as_bytes(bytes), nullptr, "file.safetensors");
}

Tensor random_tensor(std::mt19937& random, DType dtype, Shape shape) {
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(element_count(shape)) *
                                                        size_of(dtype));
  for (std::byte& byte : *bytes) byte = static_cast<std::byte>(random());
  return Tensor{dtype, std::move(shape), *bytes, bytes};
}

TEST(Safetensors, RoundTripsEveryTypeAndShape) {
  std::mt19937 random(7);
  TensorMap tensors;
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto dtype = static_cast<DType>(type);
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 0, 4}, Shape{1, 3, 2, 5}}) {
      tensors[fmt::format("{} {} \xc3\xa9\"", to_string(dtype), to_string(shape))] =
          random_tensor(random, dtype, shape);
    }
  }
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"text", "line\n\"quoted\""}};
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "all.safetensors";
  write_safetensors(path, tensors, metadata);
  const TensorFile file = read_safetensors(path);
  test::expect_same_tensors(file.tensors, tensors);
  EXPECT_EQ(file.metadata, metadata);

  // Widest first behind a padded header: every tensor is aligned to its elements.
  const std::string bytes = read_file(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header % 8, 0u);
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % size_of(tensor.dtype), 0u) << name;
  }

  write_safetensors(path, {});
  EXPECT_TRUE(read_safetensors(path).tensors.empty());
}

TEST(Safetensors, TensorsOutliveTheReader) {
  Tensor tensor;
  {
    TensorFile file = read_safetensors(test::data("golden/full_size_logits.safetensors"));
    tensor = file.tensors.at("asmlp_tiny.logits");
  }
  EXPECT_EQ(tensor.shape, (Shape{2, 1000}));
  EXPECT_EQ(to_f32(tensor).size(), 2000u);
}

TEST(Safetensors, RefusesWhatBreaksTheRules) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string eight(8, 'x');
  ASSERT_EQ(parse(file_of(good, eight)).tensors.size(), 1u);
  ASSERT_EQ(parse(file_of(good + "   ", eight)).tensors.size(), 1u);

  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& words) {
    const std::string message = error_of(ErrorCode::kBadFormat, [&] { parse(bytes); });
    expect_words(message, {"file.safetensors"});
    expect_words(message, words);
  };
  const auto refuse_header = [&](const std::string& header, const std::vector<std::string>& words) {
    refuse(file_of(header, eight), words);
  };
  const auto entry = [](const char* name, const char* dtype, const char* shape,
                        const char* offsets) {
    return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                       offsets);
  };

  refuse("", {"too few"});
  refuse("1234567", {"too few"});
  refuse(std::string("\x01\0\0\x01\0\0\0\0{}", 10), {"16777217", "16777216"});
  refuse(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), {"header"});
  refuse(file_of(good, "").substr(0, 20), {"truncated"});
  refuse(file_of("", eight), {"'{'"});
  refuse_header(" " + good, {"'{'"});
  refuse_header("[1]", {"'{'"});
  refuse_header("{", {"JSON"});
  refuse_header(good + "x", {"JSON"});
  refuse_header(good + good, {"JSON"});
  refuse_header("{\"a\xff\":1}", {"JSON"});
  refuse_header("{\"a\":1}", {"unexpected", "1", "'a'"});
  refuse_header("{\"a\":[]}", {"unexpected", "list"});
  refuse_header("{\"a\":{}}", {"'a'", "lacks"});
  refuse_header(R"({"a":{"dtype":"F32","shape":[2]}})", {"'a'", "lacks"});
  refuse_header(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                {"dtype", "twice"});
  refuse_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", {"'x'"});
  refuse_header(
      "{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("a", "F32", "[1]", "[4,8]") + "}",
      {"'a'", "twice"});
  refuse_header("{" + entry("a", "f32", "[2]", "[0,8]") + "}", {"'a'", "'f32'"});
  refuse_header("{" + entry("a", "F32", "[-2]", "[0,8]") + "}", {"-2"});
  refuse_header("{" + entry("a", "F32", "[2.0]", "[0,8]") + "}", {"2.0"});
  refuse_header("{" + entry("a", "F32", "[2]", "[0]") + "}", {"'a'", "two numbers"});
  refuse_header("{" + entry("a", "F32", "[2]", "[0,8,8]") + "}", {"8"});
  refuse_header("{" + entry("a", "F32", "[2]", "[8,0]") + "}", {"'a'", "8", "0"});
  refuse_header("{" + entry("a", "F32", "[3]", "[0,8]") + "}", {"'a'", "12", "8", "[3]"});
  refuse_header("{" + entry("a", "F32", "[1]", "[0,4]") + "}", {"4", "8"});  // trailing bytes
  refuse_header("{" + entry("a", "F32", "[4]", "[0,16]") + "}", {"16", "truncated"});
  refuse_header("{" + entry("a", "F32", "[1]", "[4,8]") + "}", {"'a'", "hole"});
  refuse_header(
      "{" + entry("a", "U8", "[3]", "[0,3]") + "," + entry("b", "U8", "[4]", "[4,8]") + "}",
      {"'b'", "hole"});
  refuse_header(
      "{" + entry("a", "U8", "[5]", "[0,5]") + "," + entry("b", "U8", "[4]", "[4,8]") + "}",
      {"'b'", "overlap"});
  refuse_header("{" + entry("a", "F32", "[9223372036854775807,4]", "[0,8]") + "}",
                {"'a'", "overflow"});
  refuse_header("{" + entry("a", "F32", "[4611686018427387904,2,2]", "[0,8]") + "}", {"overflow"});
  refuse_header("{" + entry("a", "F32", "[2]", "[18446744073709551608,18446744073709551615]") + "}",
                {"'a'"});
  refuse_header(R"({"__metadata__":{"n":1}})", {"__metadata__", "'n'", "1"});
  refuse_header(R"({"__metadata__":{"n":{}}})", {"object"});
  refuse_header(R"({"__metadata__":{"n":"1","n":"2"}})", {"'n'", "twice"});

  std::string deep = "{\"a\":";
  refuse_header(deep + std::string(500'000, '['), {"list"});
  for (int i = 0; i < 200'000; ++i) deep += "{\"a\":";
  refuse_header(deep, {"'a'", "unknown field"});

  expect_words(
      error_of(ErrorCode::kUnsupported,
               [&] { parse(file_of("{" + entry("a", "F8_E4M3", "[8]", "[0,8]") + "}", eight)); }),
      {"'a'", "F8_E4M3"});
}

TEST(Safetensors, WriterRefusesWhatItCouldNotReadBack) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  const auto refuse = [&](const std::string& name, Tensor tensor, const char* word) {
    expect_words(error_of(ErrorCode::kInvalidArgument,
                          [&] {
                            write_safetensors(path, {{name, std::move(tensor)}});
                          }),
                 {word});
  };
  Tensor short_tensor = make_tensor({2}, {1, 2});
  short_tensor.bytes = short_tensor.bytes.first(4);
  refuse("a", short_tensor, "'a'");
  refuse("__metadata__", make_tensor({1}, {1}), "__metadata__");
  refuse("\xff", make_tensor({1}, {1}), "UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace asmlp::safetensors_test
