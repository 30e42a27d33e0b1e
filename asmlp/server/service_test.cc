#include "asmlp/server/service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "asmlp/server/protocol/base64.h"
#include "tests/support/support.h"

namespace asmlp::server {
namespace service_test {

using testing::HasSubstr;

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::filesystem::path photo(const std::string& name) { return test::data("photos/" + name); }

class ServiceTest : public testing::Test {
 protected:
  explicit ServiceTest(const ServiceOptions& options = small_options())
      : service_(options, metrics_) {
    load("classes", test::source_folder() / "models" / "asmlp_imagenette.safetensors");
  }

  static ServiceOptions small_options() {
    ServiceOptions options;
    options.batching.max_batch = 3;
    options.batching.max_delay = std::chrono::milliseconds(5);
    options.threads = 1;
    return options;
  }

  void load(const std::string& name, const std::filesystem::path& file) {
    service_.add(name, load_model(file).model, file.filename().string(), false);
  }

  HttpReply get(const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    if (auto refusal = service_.refuse(request)) return *refusal;
    return service_.answer(request);
  }
  HttpReply post(const std::string& path, std::string body,
                 std::multimap<std::string, std::string> query = {},
                 std::map<std::string, std::string> headers = {}) {
    HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.query = std::move(query);
    request.headers = std::move(headers);
    if (auto refusal = service_.refuse(request)) return *refusal;
    request.body = std::make_shared<const std::string>(std::move(body));
    return service_.answer(request);
  }

  Metrics metrics_;
  Service service_;
};

TEST(Route, KnowsItsPaths) {
  using Endpoint = Route::Endpoint;
  EXPECT_EQ(route_of("/").endpoint, Endpoint::kPage);
  EXPECT_EQ(route_of("/v2/health/live").endpoint, Endpoint::kLive);
  EXPECT_EQ(route_of("/v2/models/m").endpoint, Endpoint::kModel);
  EXPECT_EQ(route_of("/v2/models/m/versions/1").endpoint, Endpoint::kModel);
  EXPECT_EQ(route_of("/v2/models/m/versions/1/ready").endpoint, Endpoint::kModelReady);
  EXPECT_EQ(route_of("/v2/models/m/infer").endpoint, Endpoint::kInfer);
  EXPECT_EQ(route_of("/v2/models/m/versions/1/infer").model, "m");
  for (const char* path :
       {"", "x", "//", "/v2/", "/v2/models", "/v2/models/", "/v2/models//infer", "/v2/models/m/",
        "/v2/models/m/versions/2", "/v2/models/m/versions/", "/v2/models/m/inferx", "/../etc"}) {
    EXPECT_EQ(route_of(path).endpoint, Endpoint::kNone) << path;
  }
}

// Many clients at once, so in batches: each gets what one classifier gives alone, to the bit.
TEST_F(ServiceTest, AnswersAreThoseOfSingleRuns) {
  const std::vector<std::string> names{"chelsea.png", "china.jpg", "rocket.jpg", "coffee.png"};
  Classifier classifier(test::source_folder() / "models" / "asmlp_imagenette.safetensors",
                        {.threads = 1});
  std::vector<std::vector<Prediction>> wanted;
  std::vector<std::string> bodies;
  for (const std::string& name : names) {
    wanted.push_back(classifier.classify(photo(name), 3));
    bodies.push_back(bytes_of(photo(name)));
  }
  std::vector<std::thread> clients;
  for (size_t k = 0; k < 12; ++k) {
    clients.emplace_back([&, k] {
      const size_t which = k % names.size();
      const HttpReply reply = post("/v1/predict", bodies[which], {{"topk", "3"}});
      ASSERT_EQ(reply.status, 200) << reply.body;
      const Json found = Json::parse(reply.body)["images"][0]["predictions"];
      ASSERT_EQ(found.size(), 3u);
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(found[i]["index"], wanted[which][i].index);
        EXPECT_EQ(found[i]["label"], wanted[which][i].label);
        EXPECT_EQ(found[i]["prob"].get<float>(), wanted[which][i].probability);
      }
      EXPECT_LE(reply.facts.timing.batch, 3);
    });
  }
  for (std::thread& client : clients) client.join();
  const std::string text = get("/metrics").body;
  EXPECT_THAT(text, HasSubstr("asmlp_images_total{model=\"classes\"} 12\n"));
  EXPECT_THAT(text, HasSubstr("asmlp_queue_images{model=\"classes\"} 0\n"));
}

TEST_F(ServiceTest, InferTakesTensorsAndPicturesAlike) {
  const Json metadata = Json::parse(get("/v2/models/classes").body);
  EXPECT_EQ(metadata["inputs"][0]["name"], "image");
  EXPECT_EQ(metadata["inputs"][1]["shape"], Json({-1, 3, -1, -1}));
  EXPECT_EQ(metadata["outputs"][1]["shape"], Json({-1, 10}));

  // Two images of another size than the model's own, as JSON.
  Classifier classifier(test::source_folder() / "models" / "asmlp_imagenette.safetensors");
  std::vector<float> values(2 * 3 * 20 * 36);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 29) / 11 - 1;
  const std::vector<float> wanted = classifier.logits(TensorView{values.data(), 2, 3, 20, 36});
  Json request{
      {"inputs",
       {{{"name", "input"}, {"datatype", "FP32"}, {"shape", {2, 3, 20, 36}}, {"data", values}}}},
      {"outputs", {{{"name", "logits"}}}}};
  HttpReply reply = post("/v2/models/classes/infer", request.dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  Json outputs = Json::parse(reply.body)["outputs"];
  EXPECT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0]["data"].get<std::vector<float>>(), wanted);

  const std::string body = bytes_of(photo("rocket.jpg"));
  request = {{"inputs",
              {{{"name", "image"},
                {"datatype", "BYTES"},
                {"shape", {1}},
                {"data", {encode_base64(body)}}}}},
             {"outputs", {{{"name", "probabilities"}, {"parameters", {{"classification", 2}}}}}}};
  reply = post("/v2/models/classes/infer", request.dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  outputs = Json::parse(reply.body)["outputs"];
  const std::vector<Prediction> best = classifier.classify(photo("rocket.jpg"), 2);
  EXPECT_EQ(outputs[0]["shape"], Json({1, 2}));
  EXPECT_EQ(outputs[0]["data"][0],
            fmt::format("{}:{}:{}", best[0].probability, best[0].index, best[0].label));
}

TEST_F(ServiceTest, SaysWhatIsWrong) {
  const auto status = [&](const HttpReply& reply) { return reply.status; };
  EXPECT_EQ(status(get("/nowhere")), 404);
  EXPECT_EQ(status(get("/v1/predict")), 405);
  EXPECT_EQ(status(post("/metrics", "")), 405);
  EXPECT_EQ(status(post("/v1/predict", "")), 400);
  EXPECT_EQ(status(post("/v1/predict", "no picture")), 415);
  EXPECT_EQ(status(post("/v1/predict", bytes_of(photo("rocket.jpg")).substr(0, 5000))), 400);
  EXPECT_EQ(status(post("/v1/predict", "x", {{"topk", "0"}})), 400);
  EXPECT_EQ(status(post("/v1/predict", "x", {{"topk", "3"}, {"topk", "4"}})), 400);
  EXPECT_EQ(status(post("/v1/predict", "x", {{"threshold", "0.5"}})), 400);
  EXPECT_EQ(status(post("/v1/predict", "x", {{"model", "other"}})), 404);
  EXPECT_EQ(status(post("/v1/detect", "x")), 404);
  EXPECT_EQ(status(post("/v1/detect", "x", {{"model", "classes"}})), 400);
  EXPECT_EQ(status(post("/v2/models/other/infer", "{}")), 404);
  const HttpReply reply = post("/v2/models/classes/infer", "{}");
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(Json::parse(reply.body)["error"].is_string());
  EXPECT_EQ(Json::parse(post("/v1/predict", "no picture").body)["error"]["code"], "unsupported");

  const auto tensor = [&](const Json& shape, size_t count) {
    const Json request{{"inputs",
                        {{{"name", "input"},
                          {"datatype", "FP32"},
                          {"shape", shape},
                          {"data", std::vector<int>(count)}}}}};
    return post("/v2/models/classes/infer", request.dump()).status;
  };
  EXPECT_EQ(tensor({1, 3, 4}, 12), 400);
  EXPECT_EQ(tensor({1, 1, 4, 4}, 16), 400);
  EXPECT_EQ(tensor({0, 3, 4, 4}, 0), 400);
  EXPECT_EQ(tensor({1, 3, 1, 20000}, 60000), 413);
  EXPECT_EQ(tensor({65, 3, 1, 1}, 195), 413);  // more than the queue ever holds
}

TEST_F(ServiceTest, OnePictureOfSeveralMayFail) {
  const std::string picture = bytes_of(photo("rocket.jpg"));
  const auto part = [](const std::string& name, const std::string& bytes) {
    return "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" + name + "\"\r\n\r\n" +
           bytes + "\r\n";
  };
  const HttpReply reply =
      post("/v1/predict", part("bad.jpg", "nothing") + part("good.jpg", picture) + "--b--", {},
           {{"content-type", "multipart/form-data; boundary=b"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json document = Json::parse(reply.body);
  EXPECT_EQ(document["images"].size(), 1u);
  EXPECT_EQ(document["images"][0]["file"], "good.jpg");
  EXPECT_EQ(document["failed"][0]["file"], "bad.jpg");
}

TEST_F(ServiceTest, NamesOfModelsAreCheckedAndUnique) {
  const auto file = test::source_folder() / "models" / "asmlp_imagenette.safetensors";
  EXPECT_EQ(test::error_of([&] { load("classes", file); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(test::error_of([&] { load("a/b", file); }).code(), ErrorCode::kInvalidArgument);
  load("a.b-2", file);
  EXPECT_EQ(Json::parse(get("/v1/models").body)["models"].size(), 2u);
}

TEST_F(ServiceTest, IsNotReadyWhenItDrains) {
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_EQ(get("/v2/models/classes/ready").status, 200);
  service_.drain();
  EXPECT_EQ(get("/v2/health/live").status, 200);
  EXPECT_EQ(get("/v2/health/ready").status, 503);
  EXPECT_EQ(get("/v2/models/classes/ready").status, 503);
  EXPECT_EQ(post("/v1/predict", "x").status, 503);
}

class KeyTest : public ServiceTest {
 protected:
  KeyTest()
      : ServiceTest([] {
          ServiceOptions options = small_options();
          options.api_key = "secret";
          return options;
        }()) {}
};

TEST_F(KeyTest, IsAskedForWhereModelsAre) {
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/v2/health/ready").status, 200);
  EXPECT_EQ(get("/metrics").status, 401);
  for (const char* given : {"", "secret", "Bearer ", "Bearer secre", "Bearer secrets",
                            "Bearer Secret", "Bearer secretsecret"}) {
    EXPECT_EQ(post("/v1/predict", "x", {}, {{"authorization", given}}).status, 401) << given;
  }
  EXPECT_EQ(post("/v1/predict", "x", {}, {{"authorization", "Bearer secret"}}).status, 415);
}

}  // namespace service_test
}  // namespace asmlp::server
