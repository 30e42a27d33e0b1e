#include "asmlp/model/spec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "tests/support/support.h"

namespace asmlp::spec_test {
namespace {

ModelSpec random_spec(std::mt19937& random) {
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const auto real = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  ModelSpec spec;
  spec.name = "name \"quoted\"\n\xc3\xa9 " + std::to_string(pick(0, 999));
  Config& config = spec.config;
  config.in_chans = pick(1, 8);
  config.num_classes = pick(0, 12);
  config.embed_dim = pick(1, 64);
  config.depths.assign(pick(1, 5), 0);
  for (int& depth : config.depths) depth = pick(0, 20);
  config.patch_size = pick(1, 16);
  config.mlp_ratio = real(1.0, 8.0);
  config.shift_size = {pick(1, 9), pick(1, 9)};
  config.dilation = pick(1, 3);
  config.padding = static_cast<Padding>(pick(0, 3));
  config.connection = static_cast<Connection>(pick(0, 1));
  config.patch_norm = pick(0, 1) == 1;
  config.drop_path = real(0.0, 0.9);
  Preprocessing& preprocessing = spec.preprocessing;
  preprocessing.size = pick(1, 512);
  preprocessing.crop_pct = real(0.5, 1.0);
  preprocessing.interpolation = static_cast<Interpolation>(pick(0, 1));
  preprocessing.mean.clear();
  preprocessing.std.clear();
  for (int c = 0; c < config.in_chans; ++c) {
    preprocessing.mean.push_back(static_cast<float>(real(0, 1)));
    preprocessing.std.push_back(static_cast<float>(real(0.01, 1)));
  }
  for (int k = 0; k < config.num_classes; ++k) {
    spec.classes.push_back(k % 3 == 0 ? std::to_string(k) : "class: " + std::to_string(k));
  }
  spec.origin = {{"source", "a test"}, {"null", "~"}};
  return spec;
}

TEST(Spec, SurvivesJsonAndYaml) {
  std::vector<ModelSpec> specs;
  for (const std::string& name : zoo_names()) specs.push_back(zoo_model(name));
  std::mt19937 random(20240711);
  for (int i = 0; i < 300; ++i) specs.push_back(random_spec(random));
  for (const ModelSpec& spec : specs) {
    const std::string text = to_json(spec);
    ASSERT_EQ(spec_from_json(text, "round trip"), spec) << text;
    ASSERT_EQ(spec_from_yaml(text, "round trip"), spec) << text;  // JSON is YAML
  }
}

TEST(Spec, ReadsEveryDocumentedForm) {
  const ModelSpec tiny = zoo_model("asmlp_tiny_patch4_shift5_224");
  ModelSpec expected = tiny;
  expected.config.num_classes = 10;
  expected.config.shift_size = {3, 7};
  expected.preprocessing.size = 96;
  for (const char* text :
       {R"({"model": "asmlp_tiny_patch4_shift5_224", "num_classes": 10, "shift_size": [3, 7],
            "img_size": [64, 96]})",
        R"({"model": "asmlp_tiny_patch4_shift5_224", "img_size": 96.0,
            "config": {"num_classes": 1e1, "shift_size": {"h": 3, "w": 7.0}}})",
        R"({"model": "asmlp_tiny_patch4_shift5_224.tag", "num_classes": 10, "shift_size": [3, 7],
            "preprocessing": {"size": 96}, "drop_path_rate": 0.2})"}) {
    EXPECT_EQ(spec_from_json(text, "test"), expected) << text;
  }
  const char* yaml = R"(
model: asmlp_tiny_patch4_shift5_224   # a zoo model, then changes
num_classes: 10
shift_size: {h: 3, w: 7}
img_size: 96
drop_path: +0.2
)";
  EXPECT_EQ(spec_from_yaml(yaml, "test"), expected);

  const ModelSpec gray = spec_from_json(R"({"in_chans": 1, "num_classes": 2, "shift_size": 3,
      "classes": ["a", "b"], "padding": "reflect", "connection": "serial", "name": "grey"})",
                                        "test");
  EXPECT_EQ(gray.preprocessing.mean, std::vector<float>{0.5f});
  EXPECT_EQ(gray.config.shift_size, (ShiftSize{3, 3}));
  EXPECT_EQ(gray.config.padding, Padding::kReflect);
  EXPECT_EQ(gray.config.connection, Connection::kSerial);
  EXPECT_EQ(gray.classes.back(), "b");
  EXPECT_EQ(spec_from_json("{}", "test").config, Config{});
  EXPECT_EQ(spec_from_json(R"({"padding_mode": "zeros"})", "test").config, Config{});
}

TEST(Spec, QuotedYamlStaysText) {
  const ModelSpec spec = spec_from_yaml("num_classes: 2\nclasses: ['1', \"true\"]\n", "test");
  EXPECT_EQ(spec.classes, (std::vector<std::string>{"1", "true"}));
}

TEST(Spec, RefusesWithTheCulpritInTheMessage) {
  const auto expect = [](const std::string& text, std::vector<std::string> words) {
    try {
      spec_from_json(text, "file.json");
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      words.emplace_back("file.json");
      for (const std::string& word : words) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
            << "'" << word << "' is not in: " << error.what();
      }
    }
  };
  expect("", {"not valid JSON"});
  expect("{", {"not valid JSON"});
  expect("{} x", {"not valid JSON"});
  expect("[]", {"must be an object", "array"});
  expect(R"({"embed_dims": 3})", {"'embed_dims'", "did you mean 'embed_dim'"});
  expect(R"({"config": {"deepths": [1]}})", {"'deepths'", "did you mean 'depths'"});
  expect(R"({"preprocessing": {"crop_pc": 1}})", {"'crop_pc'", "did you mean 'crop_pct'"});
  expect(R"({"embed_dim": "3"})", {"embed_dim", "an integer", "\"3\""});
  expect(R"({"embed_dim": 3.5})", {"embed_dim", "an integer", "3.5"});
  expect(R"({"embed_dim": 1e300})", {"embed_dim", "an integer"});
  expect(R"({"embed_dim": true})", {"embed_dim", "an integer", "true"});
  expect(R"({"embed_dim": 0})", {"embed_dim", "0", "between"});
  expect(R"({"depths": 3})", {"depths", "a list"});
  expect(R"({"depths": [1, null]})", {"depths", "null"});
  expect(R"({"shift_size": [1, 2, 3]})", {"shift_size", "[h, w]"});
  expect(R"({"shift_size": {"h": 1}})", {"shift_size", "[h, w]"});
  expect(R"({"patch_norm": 1})", {"patch_norm", "true or false"});
  expect(R"({"padding": "mirror"})", {"padding", "mirror", "reflect"});
  expect(R"({"drop_path": 0.1, "drop_path_rate": 0.1})", {"drop_path", "twice"});
  expect(R"({"dilation": 1, "config": {"dilation": 1}})", {"dilation", "twice"});
  expect(R"({"dilation": 1, "dilation": 1})", {"dilation", "twice"});
  expect(R"({"img_size": 64, "preprocessing": {"size": 32}})", {"64", "32"});
  expect(R"({"img_size": 0})", {"size is 0"});
  expect(R"({"num_classes": 3, "classes": ["a"]})", {"classes", "1", "3"});
  expect(R"({"preprocessing": {"mean": [1, 2]}})", {"mean", "2", "in_chans is 3"});
  expect(R"({"preprocessing": {"std": [1, 1, 0]}})", {"std", "positive"});
  expect(R"({"origin": {"a": 1}})", {"origin", "text"});
}

TEST(Spec, HostileTextIsAnError) {
  std::string deep(200'000, '[');
  EXPECT_THROW(spec_from_json(deep, "test"), Error);
  EXPECT_THROW(spec_from_yaml(deep, "test"), Error);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THROW(spec_from_json(objects, "test"), Error);
  EXPECT_THROW(spec_from_yaml(objects, "test"), Error);
  EXPECT_THROW(spec_from_json(std::string((16u << 20) + 1, ' '), "test"), Error);
  EXPECT_THROW(spec_from_json("{\"model\": \"" + std::string(1u << 20, 'x') + "\"}", "test"),
               Error);
  EXPECT_THROW(spec_from_json("{\"" + std::string(1u << 20, 'x') + "\": 1}", "test"), Error);

  // Ten levels of ten aliases each: 10^10 values when expanded.
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level <= 10; ++level) {
    bomb += fmt::format("a{}: &a{} [", level, level);
    for (int i = 0; i < 10; ++i) bomb += (i ? ", *a" : "*a") + std::to_string(level - 1);
    bomb += "]\n";
  }
  EXPECT_THROW(spec_from_yaml(bomb, "test"), Error);
  EXPECT_THROW(spec_from_yaml("depths: &d [1, *d]\n", "test"), Error);
}

TEST(LoadSpec, ChoosesByExtension) {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name, const char* text) {
    std::ofstream(folder.path() / name) << text;
    return folder.path() / name;
  };
  EXPECT_EQ(load_spec(write("a.json", "{\"embed_dim\": 8}")).config.embed_dim, 8);
  EXPECT_EQ(load_spec(write("a.yaml", "embed_dim: 8\n")).config.embed_dim, 8);
  EXPECT_EQ(load_spec(write("a.yml", "embed_dim: 8\n")).config.embed_dim, 8);
  EXPECT_THROW(load_spec(write("a.txt", "{}")), Error);
  try {
    load_spec(folder.path() / "missing.json");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace asmlp::spec_test
