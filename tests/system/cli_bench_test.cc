// bench: what it says, what it refuses, what it draws. No figure is compared with a clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "asmlp/core/cpu.h"
#include "asmlp/image/decode.h"
#include "asmlp/model/params.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_bench_test {
namespace {

using testing::HasSubstr;

class Bench : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }

  // A small architecture without weights.
  std::string config() const {
    const std::string file = path("small.json");
    std::ofstream(file) << R"({"embed_dim": 8, "depths": [1, 1], "num_classes": 5,
                              "shift_size": 3, "padding": "circular", "img_size": 32})";
    return file;
  }

  // Two runs and one fresh process per row.
  static Outcome bench(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "bench");
    arguments.insert(arguments.end(),
                     {"--runs", "2", "--warmup", "0", "--cold-starts", "1", "--threads", "2"});
    return run(arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(Bench, EveryCombinationIsAVerifiedRowWithItsFigures) {
  const Outcome outcome = bench({"--model", config(), "--batch", "1,3", "--precision", "fp32,bf16",
                                 "--img-size", "32,45", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_FALSE(json["machine"]["cpu"].get<std::string>().empty());
  EXPECT_EQ(json["machine"]["isas"][0], "reference");
  EXPECT_TRUE(json["machine"]["features"].is_array());
  for (const char* key : {"version", "compiler", "type", "commit"}) {
    EXPECT_FALSE(json["build"][key].get<std::string>().empty()) << key;
  }
  ASSERT_EQ(json["rows"].size(), 8u);
  const ModelSpec spec = load_spec(config());
  for (size_t k = 0; k < 8; ++k) {
    const Json& row = json["rows"][k];
    SCOPED_TRACE(row.dump());
    const int batch = k % 2 == 0 ? 1 : 3;
    const int size = k / 2 % 2 == 0 ? 32 : 45;
    const bool half = k >= 4;
    EXPECT_EQ(row["model"], "small");
    EXPECT_EQ(row["weights"], "deterministic");
    EXPECT_EQ(row["backend"], "native");
    EXPECT_EQ(row["precision"], half ? "bf16" : "fp32");
    EXPECT_EQ(row["batch"], batch);
    EXPECT_EQ(row["img_size"], size);
    EXPECT_EQ(row["threads"], 2);
    EXPECT_EQ(row["verified"]["img_size"], size);
    EXPECT_EQ(row["verified"]["images"], batch == 1 ? 1 : 2);
    EXPECT_LE(row["verified"]["relative_error"], half ? 3e-2 : 1e-4);
    EXPECT_EQ(row["latency_ms"]["samples"].size(), 2u);

    // The numbers follow from the samples and the counts.
    const double median = row["latency_ms"]["median"];
    const double macs = static_cast<double>(multiply_adds(spec.config, size, size));
    EXPECT_GT(median, 0);
    EXPECT_LE(row["latency_ms"]["min"], median);
    EXPECT_EQ(row["multiply_adds"], macs);
    EXPECT_NEAR(row["images_per_second"].get<double>() * median, 1e3 * batch, 1e-6 * batch);
    EXPECT_NEAR(row["gflops"].get<double>() * median, 2e-6 * macs * batch, 1e-9 * macs);
    EXPECT_NEAR(row["peak"]["ratio"].get<double>() * row["peak"]["gflops"].get<double>(),
                row["gflops"].get<double>(), 1e-9 * row["gflops"].get<double>());
    EXPECT_TRUE(row["peak"]["measured"].contains("fma"));
    EXPECT_TRUE(row["peak"]["measured"].contains(row["peak"]["instruction"]));
    EXPECT_EQ(row["cold_start_ms"]["samples"].size(), 1u);
    EXPECT_GT(row["cold_start_ms"]["median"], 0);
    EXPECT_GT(row["peak_memory_bytes"], row["weight_bytes"]);
    const int64_t parameters = parameter_count(spec.config);
    EXPECT_LE(row["weight_bytes"], (half ? 3 : 4) * parameters);
    EXPECT_GE(row["weight_bytes"], (half ? 2 : 4) * parameters);
    EXPECT_TRUE(row["steps"].is_array());
  }
}

// Where no instruction multiplies bf16, bf16x3 is fp32: the row says with what it was computed.
TEST_F(Bench, EveryPrecisionIsARowWithThePeakOfItsInstruction) {
  const Json cpu = run({"info", "--cpu", "--json"}).json()["cpu"];
  for (const std::string& precision : precision_names()) {
    SCOPED_TRACE(precision);
    const std::string instruction = cpu["precisions"][precision];
    const Outcome outcome = bench({"--model", config(), "--precision", precision, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json row = outcome.json()["rows"][0];
    EXPECT_EQ(row["precision"], precision);
    const Json& peak = row["peak"];
    EXPECT_EQ(peak["instruction"], instruction);
    EXPECT_EQ(peak["gflops"], peak["measured"][instruction]["gflops"]);
    if (precision == "bf16x3") {
      EXPECT_LE(row["verified"]["relative_error"], 1e-4);
    }
  }
}

TEST_F(Bench, LatencyUnderCallers) {
  const Outcome outcome =
      run({"bench", "--latency", "--model", config(), "--precision", "fp32,bf16", "--callers",
           "1,3", "--runs", "11", "--warmup", "1", "--threads", "2", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  ASSERT_EQ(json["rows"].size(), 4u);
  for (size_t k = 0; k < 4; ++k) {
    const Json& row = json["rows"][k];
    SCOPED_TRACE(row.dump());
    const size_t callers = k % 2 == 0 ? 1 : 3;
    EXPECT_EQ(row["precision"], k < 2 ? "fp32" : "bf16");
    EXPECT_EQ(row["callers"], callers);
    EXPECT_EQ(row["batch"], 1);
    EXPECT_EQ(row["threads"], 2);
    EXPECT_LE(row["verified"]["relative_error"], row["verified"]["tolerance"]);
    // Every caller's requests, and the percentiles of all of them together.
    const Json& latency = row["latency_ms"];
    ASSERT_EQ(latency["samples"].size(), callers);
    std::vector<double> all;
    for (const Json& samples : latency["samples"]) {
      EXPECT_EQ(samples.size(), 11u);
      for (const Json& sample : samples) all.push_back(sample.get<double>());
    }
    std::ranges::sort(all);
    EXPECT_EQ(latency["min"], all.front());
    EXPECT_EQ(latency["max"], all.back());
    EXPECT_EQ(latency["p50"], all[all.size() / 2]);  // an odd count
    EXPECT_LE(latency["p50"], latency["p90"]);
    EXPECT_LE(latency["p90"], latency["p99"]);
    EXPECT_LE(latency["p99"], latency["max"]);
    // A caller's rate is at most that of its fastest request.
    EXPECT_LE(row["images_per_second"].get<double>() * latency["min"].get<double>(),
              1e3 * static_cast<double>(callers));
    EXPECT_GT(row["images_per_second"], 0);
  }
  std::ofstream(path("latency.json")) << json;
  const Outcome table = run({"bench", "--from", path("latency.json"), "--markdown"});
  EXPECT_THAT(table.out, testing::AllOf(HasSubstr("p99 ms"), HasSubstr("| small | native |"),
                                        testing::Not(HasSubstr("of peak"))));
  const Outcome picture =
      run({"bench", "--from", path("latency.json"), "--plot", path("latency.png")});
  EXPECT_EQ(picture.code, 2);
  EXPECT_THAT(picture.err, HasSubstr("--latency"));
}

TEST_F(Bench, TablesAndPictureOfOwnWeights) {
  const std::string model = write_model(path("m.safetensors"));
  const std::string plot = path("plot.png");
  const Outcome text = bench({"--model", model, "--plot", plot});
  ASSERT_EQ(text.code, 0) << text.err;
  for (const char* part : {"Speed", "of peak", "images/s", "verified at", "32 x 32", "filled"}) {
    EXPECT_THAT(text.out, HasSubstr(part));
  }
  EXPECT_THAT(text.out, testing::Not(HasSubstr("deterministic")));
  const Image picture = decode_image(plot);
  EXPECT_GT(picture.width, 800);
  EXPECT_GT(picture.height, 150);
  EXPECT_THAT(listing(folder_.path()), testing::ElementsAre("m.safetensors", "plot.png"));
}

TEST_F(Bench, EarlierDocumentsMakeOneTable) {
  const Outcome first = bench({"--model", config(), "--json"});
  const Outcome second = bench({"--model", config(), "--isa", "reference", "--json"});
  ASSERT_EQ(first.code + second.code, 0) << first.err << second.err;
  std::ofstream(path("a.json")) << first.out;
  std::ofstream(path("b.json")) << second.out;
  const std::string plot = path("p.png");
  const Outcome merged =
      run({"bench", "--from", path("a.json"), path("b.json"), "--plot", plot, "--json"});
  ASSERT_EQ(merged.code, 0) << merged.err;
  Json expected = first.json();
  expected["rows"].push_back(second.json()["rows"][0]);
  EXPECT_EQ(merged.json(), expected);
  EXPECT_EQ(expected["rows"][1]["isa"], "reference");
  EXPECT_TRUE(fs::exists(plot));
  const Outcome markdown = run({"bench", "--from", path("a.json"), path("b.json"), "--markdown"});
  EXPECT_THAT(markdown.out, HasSubstr("| small | native | reference | fp32 | 32 | 1 |"));

  Json other = second.json();
  other["machine"]["cpu"] = "Another";
  std::ofstream(path("b.json")) << other;
  const Outcome mixed = run({"bench", "--from", path("a.json"), path("b.json")});
  EXPECT_EQ(mixed.code, 1);
  EXPECT_THAT(mixed.err, testing::AllOf(HasSubstr("b.json"), HasSubstr("Another")));
  std::ofstream(path("b.json")) << "[1]";
  const Outcome foreign = run({"bench", "--from", path("b.json")});
  EXPECT_EQ(foreign.code, 1);
  EXPECT_THAT(foreign.err, HasSubstr("b.json"));
}

// Logits that overflow differ from everything.
TEST_F(Bench, ADifferenceFromTheReferenceIsAnErrorAndNothingIsTimed) {
  Checkpoint checkpoint = load_checkpoint(write_model(path("m.safetensors")));
  // The first two logits are (sum of the features +- 1) times the largest number: one overflows.
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const char* name : {"head.weight", "head.bias"}) {
    const Tensor& tensor = checkpoint.tensors.at(name);
    std::vector<float> values = to_f32(tensor);
    std::fill(values.begin(), values.end(), kLargest);
    if (tensor.shape.size() == 1) values[1] = -kLargest;
    const Shape shape = tensor.shape;
    checkpoint.tensors[name] = make_tensor(shape, values);
  }
  const std::string broken = path("broken.safetensors");
  save_checkpoint(broken, checkpoint);
  const Outcome outcome = bench({"--model", broken, "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.json()["error"]["code"], "mismatch");
  EXPECT_FALSE(outcome.json().contains("rows"));
  EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("reference"), HasSubstr("nothing was timed")));
}

TEST_F(Bench, WrongUseIsNamed) {
  const std::string model = write_model(path("m.safetensors"));
  struct Case {
    std::vector<std::string> arguments;
    int code;
    std::string message;
  };
  const std::vector<Case> cases{
      {{"--model", model, "--isa", "mmx"}, 2, "mmx"},
      {{"--model", model, "--batch", "0"}, 2, "--batch"},
      {{"--model", model, "--batch", "1,x"}, 2, "--batch"},
      {{"--model", model, "--precision", "fp8"}, 2, "--precision"},
      {{"--model", model, "--img-size", "0"}, 2, "--img-size"},
      {{"--model", model, "--backend", "tensor"}, 2, "--backend"},
      {{"--model", model, "--plot", path("p.jpg")}, 2, ".png"},
      {{"--model", model, "--plot", "/no/such/folder/p.png"}, 1, "/no/such/folder"},
      {{"--model", model, "--markdown", "--json"}, 2, "--json"},
      {{"--model", "asmlp_tiny_patch4_shift5_24"}, 1, "did you mean"},
      {{"--model", "missing.safetensors"}, 1, "missing.safetensors"},
      {{"--model", write_model(path("b.safetensors"), 3, 0)}, 1, "b.safetensors: a backbone"},
      {{"--model", model, "--from", "a.json"}, 2, "--model has no effect"},
      {{"--model", model, "--latency", "--batch", "2"}, 2, "--batch has no effect on --latency"},
      {{"--model", model, "--latency", "--backend", "torch"}, 2, "--backend has no effect"},
      {{"--model", model, "--latency", "--train"}, 2, "--train"},
      {{"--model", model, "--callers", "2"}, 2, "--latency"},
      {{"--latency", "--task", "detect"}, 1, "classifiers"},
      {{"--train", "--precision", "fp32,bf16x3"}, 1, "bf16x3: training steps"},
  };
  for (const Case& wrong : cases) {
    SCOPED_TRACE(testing::PrintToString(wrong.arguments));
    std::vector<std::string> arguments = wrong.arguments;
    arguments.insert(arguments.begin(), "bench");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, wrong.code) << outcome.err;
    EXPECT_THAT(outcome.err,
                testing::AllOf(testing::StartsWith("asmlp: error: "), HasSubstr(wrong.message)));
  }
}

// Both programs in folders of their own, as installed with and without LibTorch.
TEST_F(Bench, LibTorchsRowsComeFromTheProgramBesideThisOne) {
  const std::string model = write_model(path("m.safetensors"));
  const std::string program = path("asmlp"), torch = path("asmlp-torch");
  fs::copy_file(ASMLP_BIN, program);
  const std::vector<std::string> arguments{"bench", "--model", model, "--backend",
                                           "torch", "--runs",  "2",   "--cold-starts",
                                           "0",     "--json"};
  const RunSettings alone{.program = program, .environment = {"PATH=/nonexistent"}};
  const Outcome missing = run(arguments, alone);
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("asmlp-torch"));

  // A stand-in that notes its arguments and answers with a row of ours under another name.
  Json answer = bench({"--model", model, "--json"}).json();
  answer["rows"][0]["backend"] = "torch";
  std::ofstream(torch) << "#!/bin/sh\necho \"$@\" > " << path("words") << "\necho '"
                       << answer.dump() << "'\n";
  fs::permissions(torch, fs::perms::owner_all);
  const Outcome both = run(arguments, alone);
  ASSERT_EQ(both.code, 0) << both.err;
  ASSERT_EQ(both.json()["rows"].size(), 2u);
  EXPECT_EQ(both.json()["rows"][0]["backend"], "native");
  EXPECT_EQ(both.json()["rows"][1]["backend"], "torch");
  EXPECT_THAT(slurp(path("words")),
              testing::AllOf(HasSubstr("bench --json"), HasSubstr(model), HasSubstr("--runs 2")));

  std::ofstream(torch) << "#!/bin/sh\necho '{\"error\": {\"message\": \"no luck\"}}'\nexit 1\n";
  const Outcome failed = run(arguments, alone);
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("no luck"));
}

}  // namespace
}  // namespace asmlp::test::cli_bench_test
