// info, convert and forward on the golden files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "asmlp/model/description/description.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "asmlp/weights/pytorch/pth.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"
#include "tests/support/golden.h"

namespace asmlp::test::cli_models_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Info, TheZooWithExactCounts) {
  const Json json = run({"info", "--list", "--cpu", "--json"}).json();
  ASSERT_EQ(json["models"].size(), model_names().size());
  for (const Json& model : json["models"]) {
    const Description known = named_description(model["name"].get<std::string>());
    EXPECT_EQ(model["task"], to_string(known.task()));
    EXPECT_EQ(model["parameters"], parameter_count(known));
  }
  EXPECT_EQ(json["models"][1]["name"], "asmlp_tiny_patch4_shift5_224");
  EXPECT_EQ(json["models"][1]["parameters"], 28282696);
  EXPECT_EQ(json["models"][1]["multiply_adds"], 4358553600);
  EXPECT_EQ(json["cpu"]["isas"][0], "reference");
  EXPECT_EQ(json["cpu"]["precisions"]["fp32"], "fma");
  EXPECT_THAT(run({"info", "--cpu"}).out, HasSubstr("fp32 (fma)"));
  const Outcome text = run({"info"});
  EXPECT_THAT(text.out, HasSubstr("28,282,696"));
  EXPECT_THAT(text.out, HasSubstr("44,499,705,856"));
}

// The bundled models, and those of the tests.
std::vector<fs::path> trained_models() {
  std::vector<fs::path> files;
  for (const fs::path& folder : {source_folder() / "models", data("models")}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
  }
  return files;
}

// Every trained model says its task, its classes and as many parameters as its file holds.
TEST(Info, DescribesModelsOfEveryTask) {
  std::set<std::string> tasks;
  for (const fs::path& path : trained_models()) {
    const std::string file = path;
    const Json json = run({"info", file, "--params", "--json"}).json()["model"];
    tasks.insert(json["task"].get<std::string>());
    EXPECT_EQ(json["classes"].size(), json["config"]["num_classes"].get<size_t>()) << file;
    // What the repository has room for.
    EXPECT_LE(fs::file_size(path), 8'000'000u) << file;
    const TensorMap tensors = read_safetensors(file).tensors;
    if (is_quantized(tensors)) continue;  // has scales, and no batch norms
    int64_t elements = 0;
    for (const auto& [name, tensor] : tensors) {
      const bool buffer =
          name.find(".bn.running_") != std::string::npos || name.ends_with("num_batches_tracked");
      if (!buffer) elements += element_count(tensor.shape);
    }
    EXPECT_EQ(json["parameters"], elements) << file;
    EXPECT_EQ(json["parameter_table"].size(), tensors.size()) << file;
  }
  EXPECT_EQ(tasks, (std::set<std::string>{"classify", "detect", "segment"}));
  EXPECT_THAT(run({"info", "cascade_asmlp_tiny"}).out, HasSubstr("85,624,146"));
  EXPECT_THAT(run({"info", "swin_tiny_patch4_window7_224"}).out, HasSubstr("28,288,354"));
  const Outcome far = run({"info", "resnet50"});
  EXPECT_EQ(far.code, 1);
  EXPECT_THAT(far.err, testing::Not(HasSubstr("did you mean")));
  EXPECT_THAT(run({"info", "mask_rcnn_asmlp_tny"}).err, HasSubstr("'mask_rcnn_asmlp_tiny'"));
}

TEST(Info, AZooModelAtAnotherSizeWithItsParameters) {
  const Json json = run({"info", "asmlp_mobile_patch4_shift5_224.some_tag", "--img-size", "448",
                         "--params", "--json"})
                        .json()["model"];
  const Config config = zoo_model("asmlp_mobile_patch4_shift5_224").config;
  EXPECT_EQ(json["multiply_adds"], multiply_adds(config, 448, 448));
  EXPECT_EQ(json["parameter_table"].size(), parameter_table(config).size());
  EXPECT_EQ(json["config"]["embed_dim"], 64);
}

TEST(Convert, AnAuthorsCheckpointKeepsEveryWeightAndSaysWhatItIs) {
  const TemporaryFolder folder;
  const std::string out = folder.path() / "m.safetensors";
  const fs::path source = data("golden/checkpoints/official_zip.pth");
  const Outcome converted = run({"convert", source, out, "--json"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_THAT(converted.json()["notes"].dump(), HasSubstr("shift size 5"));
  const Json info = run({"info", out, "--json"}).json()["model"];
  EXPECT_EQ(info["config"]["embed_dim"], 8);
  EXPECT_EQ(info["config"]["num_classes"], 7);
  EXPECT_EQ(info["parameters"], 79511);
  const TensorMap before = read_pth(source).tensors;
  const TensorMap after = read_safetensors(out).tensors;
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : before) {
    EXPECT_EQ(after.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(to_f32(after.at(name)), to_f32(tensor)) << name;
  }
  EXPECT_THAT(listing(folder.path()), ElementsAre("m.safetensors"));
  // Said aloud without --json too.
  EXPECT_THAT(run({"convert", source, out}).err, HasSubstr("asmlp: note: shift size 5"));
}

TEST(Convert, OptionsDecideWhatWeightsCannotShow) {
  const TemporaryFolder folder;
  const std::string bare = folder.path() / "bare.safetensors";
  const std::string out = folder.path() / "m.safetensors";
  const std::string names = folder.path() / "classes.txt";
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 1};
  config.num_classes = 3;
  write_safetensors(bare, fill_parameters(config));
  std::ofstream(names) << "ant\nbee\ncow\n";
  const Outcome outcome = run({"convert", bare, out, "--shift-size", "3,7", "--class-map", names,
                               "--name", "farm", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const ModelSpec spec = load_checkpoint(out).spec;
  EXPECT_EQ(spec.config.shift_size, (ShiftSize{3, 7}));
  EXPECT_EQ(spec.name, "farm");
  EXPECT_THAT(spec.classes, ElementsAre("ant", "bee", "cow"));
  std::ofstream(names) << "ant\nbee\n";
  const Outcome short_list = run({"convert", bare, out, "--class-map", names});
  EXPECT_EQ(short_list.code, 1);
  EXPECT_THAT(short_list.err, testing::AllOf(HasSubstr("names 2"), HasSubstr("has 3")));
}

// What a user without this project's files has: official keys, a config, an input.
class Forward : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }
  Outcome forward(const std::string& input, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"forward",  "--weights",    path("w.safetensors"),
                                       "--config", path("c.json"), "--input",
                                       input,      "--output",     path("y.safetensors")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  void prepare(const Config& config) const {
    write_safetensors(path("w.safetensors"), fill_parameters(config));
    Json json = {{"embed_dim", config.embed_dim},
                 {"depths", config.depths},
                 {"num_classes", config.num_classes},
                 {"mlp_ratio", config.mlp_ratio},
                 {"shift_size", config.shift_size.h}};
    std::ofstream(path("c.json")) << json;
  }
  TemporaryFolder folder_;
};

TEST_F(Forward, GivesTheAuthorsLogitsAndFeatures) {
  for (const GoldenModel& golden : golden_models()) {
    prepare(golden.config);
    const TensorMap expected = read_safetensors(data(golden.file())).tensors;
    for (const char* isa : {"reference", ""}) {
      std::vector<std::string> more{"--backend", "native", "--precision", "fp32", "--threads", "2"};
      if (*isa) more.insert(more.end(), {"--isa", isa});
      const Outcome outcome = forward(data(golden.file()), more);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      const TensorMap found = read_safetensors(path("y.safetensors")).tensors;
      ASSERT_EQ(found.size(), 2u + golden.config.depths.size());
      for (const auto& [name, tensor] : found) {
        EXPECT_EQ(tensor.shape, expected.at(name).shape) << name;
        EXPECT_LE(relative_error(to_f32(tensor), to_f32(expected.at(name))), 1e-5)
            << golden.name << " " << name << " " << isa;
      }
    }
  }
}

TEST_F(Forward, Bf16RoundsTheProductsAndNothingElse) {
  const GoldenModel golden = golden_models()[0];
  prepare(golden.config);
  const auto logits = [&](const char* precision) {
    const Outcome outcome = forward(data(golden.file()), {"--precision", precision});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const TensorFile file = read_safetensors(path("y.safetensors"));
    EXPECT_THAT(file.metadata.at("source"), HasSubstr(precision));
    return to_f32(file.tensors.at("logits"));
  };
  const double error = relative_error(logits("bf16"), logits("fp32"));
  EXPECT_GT(error, 0);
  EXPECT_LE(error, 3e-2);
}

TEST_F(Forward, AnyNumberOfImagesGivesEachItsOwnResult) {
  const Config config = golden_models()[0].config;
  prepare(config);
  constexpr int kImages = 19;  // more than two batches, the last one partial
  const std::vector<float> values = to_f32(fill_tensor("input", {kImages, 3, 32, 32}));
  write_safetensors(path("x.safetensors"), {{"input", make_tensor({kImages, 3, 32, 32}, values)}});
  ASSERT_EQ(forward(path("x.safetensors")).code, 0);
  const TensorMap all = read_safetensors(path("y.safetensors")).tensors;
  EXPECT_EQ(all.at("logits").shape, (Shape{kImages, 7}));
  EXPECT_EQ(all.at("feature.1").shape, (Shape{kImages, 16, 4, 4}));
  for (int image : {0, 8, 18}) {
    const size_t size = 3 * 32 * 32;
    const auto first = values.begin() + static_cast<ptrdiff_t>(size) * image;
    write_safetensors(
        path("x.safetensors"),
        {{"input", make_tensor({1, 3, 32, 32}, {first, first + static_cast<ptrdiff_t>(size)})}});
    ASSERT_EQ(forward(path("x.safetensors")).code, 0);
    for (const auto& [name, tensor] : read_safetensors(path("y.safetensors")).tensors) {
      const std::vector<float> one = to_f32(tensor), many = to_f32(all.at(name));
      EXPECT_TRUE(std::equal(one.begin(), one.end(),
                             many.begin() + static_cast<ptrdiff_t>(one.size()) * image))
          << name << " of image " << image;
    }
  }
}

TEST_F(Forward, WrongInputsAndWeightsNameExpectedAndFoundAndLeaveTheOutputAlone) {
  prepare(golden_models()[0].config);
  std::ofstream(path("y.safetensors")) << "precious";
  const auto expect = [&](const TensorMap& input, const std::vector<std::string>& parts) {
    write_safetensors(path("x.safetensors"), input);
    const Outcome outcome = forward(path("x.safetensors"));
    EXPECT_EQ(outcome.code, 1);
    for (const std::string& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(slurp(path("y.safetensors")), "precious");
  };
  expect({{"image", make_tensor({1}, {0})}}, {"'input'", "image", "x.safetensors"});
  expect({}, {"'input'", "no tensors"});
  expect({{"input", make_tensor({1, 1, 2, 2}, {1, 2, 3, 4})}}, {"[1, 1, 2, 2]", "[N, 3, H, W]"});
  expect({{"input", make_tensor({3, 2, 2}, std::vector<float>(12))}}, {"[3, 2, 2]"});
  expect({{"input", make_tensor({0, 3, 2, 2}, {})}}, {"[0, 3, 2, 2]"});
  Tensor doubles = make_tensor({6}, {1, 2, 3, 4, 5, 6});
  doubles.dtype = DType::kF64;
  doubles.shape = {1, 3, 1, 1};
  expect({{"input", doubles}}, {"F64", "F32"});

  // Weights of another architecture: the first parameter that differs, both shapes.
  Config other = golden_models()[0].config;
  other.embed_dim = 16;
  write_safetensors(path("w.safetensors"), fill_parameters(other));
  expect({{"input", make_tensor({1, 3, 1, 1}, {1, 2, 3})}}, {"[8, ", "[16, ", "w.safetensors"});
  EXPECT_THAT(listing(folder_.path()),
              ElementsAre("c.json", "w.safetensors", "x.safetensors", "y.safetensors"));
}

// Wherever the conversion is killed, OUT is the whole old file or the whole new one.
TEST(Convert, KilledAtAnyMomentLeavesAWholeFile) {
  const TemporaryFolder folder;
  const std::string in = write_model(folder.path() / "in.safetensors", 3, 5, 160);  // about 10 MB
  const std::string out = folder.path() / "out.safetensors";
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run({"convert", in, out}).code, 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  const std::string expected = slurp(out);
  int killed = 0;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const bool existed = attempt % 2 == 0;
    if (!existed) fs::remove(out);
    const Outcome outcome = run({"convert", in, out},
                                {.kill_after_us = static_cast<int>(whole.count() * attempt / 18)});
    killed += outcome.code == 1000 + SIGKILL ? 1 : 0;
    if (existed || fs::exists(out)) {
      EXPECT_TRUE(slurp(out) == expected) << attempt;
    }
    fs::remove(out);
    if (attempt % 2 == 1) {
      ASSERT_EQ(run({"convert", in, out}).code, 0);
    }
  }
  EXPECT_GT(killed, 0);
}

}  // namespace
}  // namespace asmlp::test::cli_models_test
