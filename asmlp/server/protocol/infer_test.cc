#include "asmlp/server/protocol/infer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/server/protocol/base64.h"

namespace asmlp::server {
namespace infer_test {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& body, const std::string& head = "") {
  try {
    parse_infer(body, head);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Infer, ReadsFlatAndNestedData) {
  for (const char* data :
       {"[1,2.5,-3,4e-2]", "[[1,2.5],[-3,4e-2]]", "[[[1],[2.5]],[[-3],[4e-2]]]"}) {
    const InferRequest request =
        parse_infer(std::string(R"({"id":"7","inputs":[{"data":)") + data +
                        R"(,"name":"input","shape":[2,2],"datatype":"FP32"}],)"
                        R"("outputs":[{"name":"logits","parameters":{"classification":3}}]})",
                    "");
    EXPECT_EQ(request.id, "7");
    ASSERT_EQ(request.inputs.size(), 1u);
    EXPECT_THAT(request.inputs[0].floats, ElementsAre(1.f, 2.5f, -3.f, 0.04f));
    EXPECT_THAT(request.inputs[0].shape, ElementsAre(2, 2));
    ASSERT_EQ(request.outputs.size(), 1u);
    EXPECT_EQ(request.outputs[0].classification, 3);
    EXPECT_FALSE(request.outputs[0].binary);
  }
}

// Any float comes back to the bit from JSON and from binary data.
TEST(Infer, KeepsTheBitsOfFloats) {
  std::mt19937 random(3);
  std::vector<float> values(500);
  for (float& value : values) {
    do {
      const uint32_t bits = static_cast<uint32_t>(random());
      std::memcpy(&value, &bits, sizeof value);
    } while (!std::isfinite(value));
  }
  nlohmann::json root{
      {"inputs", {{{"name", "x"}, {"datatype", "FP32"}, {"shape", {500}}, {"data", values}}}}};
  EXPECT_EQ(parse_infer(root.dump(), "").inputs[0].floats, values);

  root["inputs"][0].erase("data");
  root["inputs"][0]["parameters"] = {{"binary_data_size", 2000}};
  const std::string text = root.dump();
  const std::string bytes(reinterpret_cast<const char*>(values.data()), 2000);
  EXPECT_EQ(parse_infer(text + bytes, std::to_string(text.size())).inputs[0].floats, values);
}

TEST(Infer, ReadsBytes) {
  const std::string text =
      R"({"parameters":{"binary_data_output":true},"inputs":[)"
      R"({"name":"a","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}},)"
      R"({"name":"b","shape":[1],"datatype":"BYTES","data":["aGk="]}],)"
      R"("outputs":[{"name":"o"},{"name":"p","parameters":{"binary_data":false}}]})";
  const std::string binary("\2\0\0\0ab\1\0\0\0c", 11);
  const InferRequest request = parse_infer(text + binary, std::to_string(text.size()));
  EXPECT_THAT(request.inputs[0].bytes, ElementsAre("ab", "c"));
  EXPECT_THAT(request.inputs[1].bytes, ElementsAre("hi"));
  EXPECT_TRUE(request.binary && request.outputs[0].binary);
  EXPECT_FALSE(request.outputs[1].binary);
}

TEST(Infer, SaysWhatIsWrong) {
  const auto input = [](const std::string& rest) {
    return R"({"inputs":[{"name":"x",)" + rest + "}]}";
  };
  EXPECT_THAT(error_of(""), HasSubstr("no JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of("7"), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of("{} {}"), HasSubstr("no JSON"));
  EXPECT_THAT(error_of("{}"), HasSubstr("\"inputs\""));
  EXPECT_THAT(error_of(R"({"inputs":[]})"), HasSubstr("\"inputs\""));
  EXPECT_THAT(error_of(R"({"inputs":[7]})"), HasSubstr("list of objects"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP16","shape":[1],"data":[1])")), HasSubstr("FP16"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[2],"data":[1])")),
              HasSubstr("the shape has 2 elements, the data 1"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[-1],"data":[1])")),
              HasSubstr("\"shape\""));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[2147483648,2147483648],"data":[1])")),
              HasSubstr("too large"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1],"data":["x"])")),
              HasSubstr("holds text"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1],"data":[null])")),
              HasSubstr("null or a boolean"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1],"data":[{"b64":"aGk="}])")),
              HasSubstr("an object"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1],"data":[1e39])")),
              HasSubstr("beyond FP32"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1],"data":0)")),
              HasSubstr("must be a list"));
  EXPECT_THAT(error_of(input(R"("datatype":"FP32","shape":[1])")), HasSubstr("either"));
  EXPECT_THAT(error_of(input(R"("datatype":"BYTES","shape":[1],"data":["?"])")),
              HasSubstr("no base64"));
  EXPECT_THAT(
      error_of(input(R"("datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4})")),
      HasSubstr("0 bytes of the body are left"));
  EXPECT_THAT(error_of("{}", "3"), HasSubstr("Inference-Header-Content-Length"));
  EXPECT_THAT(error_of("{}", "-1"), HasSubstr("Inference-Header-Content-Length"));
  EXPECT_THAT(error_of("{}xx", "2"), HasSubstr("\"inputs\""));
  const std::string good = input(R"("datatype":"FP32","shape":[1],"data":[1])");
  EXPECT_EQ(error_of(good), "no error");
  EXPECT_THAT(error_of(good + "!", std::to_string(good.size())),
              HasSubstr("are left that no input has"));
  EXPECT_THAT(error_of(std::string(100, '[')), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of(R"({"a":)" + std::string(100, '[')), HasSubstr("nested"));
  EXPECT_THAT(error_of(R"({"inputs":[{"data":)" + std::string(1000, '[')), HasSubstr("nested"));
  std::string many = R"({"a":[0)";
  for (size_t k = 0; k < kMaxInferValues; ++k) many += ",0";
  EXPECT_THAT(error_of(many), HasSubstr("more than"));
}

TEST(Infer, AnswersInJsonAndInBinary) {
  std::vector<OutputTensor> outputs{{"f", {2}, std::vector<float>{0.1f, -2}},
                                    {"i", {1}, std::vector<int32_t>{7}},
                                    {"b", {1}, std::vector<std::string>{"\xff"}},
                                    {"t", {1}, std::vector<std::string>{"text"}}};
  outputs[2].text = false;
  InferAnswer answer = format_infer("m", "id", outputs);
  EXPECT_FALSE(answer.head);
  nlohmann::json root = nlohmann::json::parse(answer.body);
  EXPECT_EQ(root["model_name"], "m");
  EXPECT_EQ(root["id"], "id");
  EXPECT_EQ(root["outputs"][0]["data"][0].get<float>(), 0.1f);
  EXPECT_EQ(root["outputs"][1]["datatype"], "INT32");
  EXPECT_EQ(root["outputs"][2]["data"][0], encode_base64("\xff"));
  EXPECT_EQ(root["outputs"][3]["data"][0], "text");

  for (OutputTensor& output : outputs) output.binary = true;
  answer = format_infer("m", "", outputs);
  ASSERT_TRUE(answer.head);
  root = nlohmann::json::parse(answer.body.substr(0, *answer.head));
  EXPECT_FALSE(root.contains("id"));
  EXPECT_EQ(root["outputs"][0]["parameters"]["binary_data_size"], 8);
  EXPECT_EQ(root["outputs"][3]["parameters"]["binary_data_size"], 8);
  EXPECT_EQ(answer.body.size(), *answer.head + 8 + 4 + 5 + 8);
  EXPECT_EQ(answer.body.substr(answer.body.size() - 8), std::string("\4\0\0\0text", 8));
}

}  // namespace infer_test
}  // namespace asmlp::server
