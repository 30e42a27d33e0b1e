#include "asmlp/weights/checkpoint.h"

#include <random>

#include "asmlp/model/description/description.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::checkpoint_test {
namespace {

using test::error_of;
using test::expect_words;

Config small_config() {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 0, 2};
  config.num_classes = 3;
  return config;
}

// Parameters without values: shapes are all that matters here, zoo models are large.
TensorMap shapes_of(const Config& config) {
  TensorMap tensors;
  for (const Param& param : parameter_table(config)) tensors[param.name].shape = param.shape;
  return tensors;
}

TEST(CheckParameters, NamesTheFirstProblemAndCountsAll) {
  const Config config = small_config();
  const TensorMap good = shapes_of(config);
  EXPECT_NO_THROW(check_parameters(config, good, "file"));
  const auto message = [&](const TensorMap& tensors) {
    return error_of(ErrorCode::kMismatch, [&] { check_parameters(config, tensors, "file"); });
  };
  TensorMap tensors = good;
  tensors["head.weight"].shape = {5, 32};
  expect_words(message(tensors),
               {"file", "'head.weight'", "[5, 32]", "[3, 32]", "0 missing, 1 of a wrong shape, 0"});
  tensors.erase("norm.bias");
  tensors["extra"].shape = {1};
  expect_words(message(tensors),
               {"'norm.bias' is missing", "[32]", "1 missing, 1 of", "1 unexpected"});
  tensors = good;
  tensors["aux.weight"].shape = {7};
  expect_words(message(tensors), {"'aux.weight'", "[7]", "0 missing, 0 of", "1 unexpected"});
  expect_words(message({}), {"'patch_embed.proj.weight' is missing"});
}

TEST(InferConfig, FindsEveryVisibleField) {
  std::mt19937 random(42);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  std::vector<Config> configs;
  for (const std::string& name : zoo_names()) configs.push_back(zoo_model(name).config);
  for (int i = 0; i < 500; ++i) {
    Config config;
    config.in_chans = pick(1, 8);
    config.num_classes = pick(0, 20);
    config.embed_dim = pick(1, 40);
    config.depths.assign(pick(1, 6), 0);
    for (int& depth : config.depths) depth = pick(0, 12);
    config.patch_size = pick(1, 9);
    config.mlp_ratio = i % 2 == 0 ? pick(1, 6) : std::uniform_real_distribution<>(1, 6)(random);
    config.patch_norm = pick(0, 1) == 1;
    config.downsample = static_cast<Downsample>(pick(0, 1));
    if ((config.patch_size == 4 || config.patch_size == 8) && config.embed_dim % 4 == 0) {
      config.stem = Stem::kConv;
    }
    configs.push_back(config);
  }
  for (const Config& config : configs) {
    Config base;
    base.shift_size = {3, 9};
    base.dilation = 2;
    base.padding = Padding::kReflect;
    base.connection = Connection::kSerial;
    base.drop_path = 0.25;
    const TensorMap tensors = shapes_of(config);
    const Config found = infer_config(tensors, base, "file");
    ASSERT_NO_THROW(check_parameters(found, tensors, "file"));
    ASSERT_EQ(found.depths, config.depths);
    // Several ratios can give the same sizes; whole ones are found as they are.
    if (config.num_blocks() > 0) {
      ASSERT_NEAR(found.mlp_ratio, config.mlp_ratio, 1.0 / config.embed_dim);
    }
    if (config.num_blocks() > 0 && config.mlp_ratio == static_cast<int>(config.mlp_ratio)) {
      ASSERT_EQ(found.mlp_ratio, config.mlp_ratio);
    }
    Config expected = base;
    expected.in_chans = config.in_chans;
    expected.num_classes = config.num_classes;
    expected.embed_dim = config.embed_dim;
    expected.depths = config.depths;
    expected.patch_size = config.patch_size;
    expected.mlp_ratio = found.mlp_ratio;
    expected.patch_norm = config.patch_norm;
    expected.stem = config.stem;
    if (config.num_stages() > 1) expected.downsample = config.downsample;
    ASSERT_EQ(found, expected);
  }
}

TEST(InferConfig, SaysWhyTensorsAreNoAsMlp) {
  const auto message = [](const TensorMap& tensors) {
    return error_of(ErrorCode::kMismatch, [&] { infer_config(tensors, {}, "file"); });
  };
  const TensorMap good = shapes_of(small_config());
  expect_words(message({}), {"file", "'patch_embed.proj.weight' is missing"});
  TensorMap tensors = good;
  tensors.erase("layers.2.blocks.1.mlp.fc1.weight");
  expect_words(message(tensors), {"'layers.2.blocks.1.mlp.fc1.weight' is missing"});
  const auto with = [&](const char* key, Shape shape) {
    TensorMap changed = good;
    changed[key].shape = std::move(shape);
    return message(changed);
  };
  expect_words(with("patch_embed.proj.weight", {8, 3, 4}), {"[8, 3, 4]"});
  expect_words(with("patch_embed.proj.weight", {8, 3, 4, 2}), {"square"});
  expect_words(with("patch_embed.proj.weight", {0, 3, 4, 4}), {"[0, 3, 4, 4]"});
  expect_words(with("patch_embed.proj.weight", {1 << 20, 3, 4, 4}), {"embed_dim"});
  expect_words(with("patch_embed.proj.weight", {int64_t{1} << 40, 3, 4, 4}), {"1099511627776"});
  expect_words(with("head.weight", {3}), {"head.weight"});
  expect_words(with("layers.99.blocks.0.norm1.weight", {8}), {"layers.99"});
  expect_words(with("layers.0.blocks.99999999999.norm1.weight", {8}), {"99999999999"});
  expect_words(with("layers.x", {8}), {"layers.x"});
}

class LoadCheckpoint : public testing::Test {
 protected:
  Checkpoint load(const std::filesystem::path& path, const CheckpointOptions& options = {}) {
    notes_.clear();
    Checkpoint checkpoint = load_checkpoint(path, options, &notes_);
    check_parameters(checkpoint.spec.config, checkpoint.tensors, "loaded");
    return checkpoint;
  }
  std::string notes() const { return fmt::format("{}", fmt::join(notes_, "\n")); }
  std::filesystem::path file(const char* name) const { return folder_.path() / name; }

  test::TemporaryFolder folder_;
  std::vector<std::string> notes_;
};

TEST_F(LoadCheckpoint, ReadsWhatSaveWrote) {
  Checkpoint saved;
  saved.spec.name = "mine";
  saved.spec.config = small_config();
  saved.spec.config.shift_size = {3, 7};
  saved.spec.config.padding = Padding::kCircular;
  saved.spec.preprocessing.size = 28;
  saved.spec.classes = {"a", "b", "c"};
  saved.spec.origin = {{"command", "test"}};
  saved.tensors = fill_parameters(saved.spec.config);
  const auto path = file("m.safetensors");
  save_checkpoint(path, saved);
  const Checkpoint loaded = load(path);
  EXPECT_EQ(loaded.spec, saved.spec);
  test::expect_same_tensors(loaded.tensors, saved.tensors);
  EXPECT_EQ(notes(), "");
  EXPECT_EQ(read_safetensors(path).metadata.at("format"), "pt");

  EXPECT_NO_THROW(load(path, {.spec = {}, .shift_size = ShiftSize{3, 7}}));
  expect_words(error_of(ErrorCode::kMismatch,
                        [&] {
                          load(path, {.spec = {}, .shift_size = ShiftSize{5, 5}});
                        }),
               {"m.safetensors", "shift size 5", "[3, 7]"});

  // What the caller says wins, and must fit.
  ModelSpec spec = saved.spec;
  spec.name = "other";
  EXPECT_EQ(load(path, {.spec = spec, .shift_size = {}}).spec.name, "other");
  spec.config.embed_dim = 16;
  expect_words(
      error_of(ErrorCode::kMismatch, [&] { load(path, {.spec = spec, .shift_size = {}}); }),
      {"m.safetensors", "'patch_embed.proj.weight'", "[8, 3, 4, 4]", "[16, 3, 4, 4]"});

  saved.tensors.erase("norm.bias");
  expect_words(error_of(ErrorCode::kMismatch, [&] { save_checkpoint(path, saved); }),
               {"'norm.bias'"});
  EXPECT_EQ(load(path).spec.name, "mine") << "a refused save must leave the file alone";
}

TEST_F(LoadCheckpoint, SaysWhatItAssumed) {
  const auto path = file("plain.safetensors");
  write_safetensors(path, fill_parameters(zoo_model("asmlp_mobile_patch4_shift5_224").config));
  EXPECT_EQ(load(path).spec.name, "asmlp_mobile_patch4_shift5_224");
  expect_words(notes(), {"shift size 5 is assumed", "padding zero", "224 pixels"});
  EXPECT_EQ(load(path, {.spec = {}, .shift_size = ShiftSize{7, 3}}).spec.config.shift_size,
            (ShiftSize{7, 3}));
  expect_words(notes(), {"shift size [7, 3] is the caller's"});
}

TEST_F(LoadCheckpoint, ReadsGoldenFiles) {
  // The committed golden files come without their weights; the fill rule gives them back.
  struct Golden {
    const char* tag;
    std::vector<int> depths;
    int embed_dim, classes, shift, size;
    double mlp_ratio;
  };
  for (const Golden& golden : {Golden{"c16_shift7_rect", {2, 1, 1, 1}, 16, 10, 7, 96, 4.0},
                               Golden{"c20_shift3_mlp2", {1, 1, 1, 1}, 20, 10, 3, 32, 2.0},
                               Golden{"c8_shift5", {1, 1, 1, 1}, 8, 7, 5, 32, 4.0}}) {
    Config config;
    config.embed_dim = golden.embed_dim;
    config.depths = golden.depths;
    config.num_classes = golden.classes;
    config.mlp_ratio = golden.mlp_ratio;
    config.shift_size = {golden.shift, golden.shift};
    TensorFile full =
        read_safetensors(test::data(fmt::format("golden/model_{}.safetensors", golden.tag)));
    const TensorMap weights = fill_parameters(config);
    for (const auto& [name, tensor] : weights) full.tensors["weight." + name] = tensor;
    const auto path = file("golden.safetensors");
    write_safetensors(path, full.tensors, full.metadata);
    const Checkpoint loaded = load(path);
    EXPECT_EQ(loaded.spec.config, config) << golden.tag;
    test::expect_same_tensors(loaded.tensors, weights);  // not the gradients beside them
    EXPECT_EQ(loaded.spec.preprocessing.size, golden.size);
    expect_words(notes(), {"'weight.'", fmt::format("shift size {} is taken from its __metadata__",
                                                    golden.shift)});

    full.metadata["embed_dim"] = "24";
    write_safetensors(path, full.tensors, full.metadata);
    expect_words(error_of(ErrorCode::kMismatch, [&] { load(path); }),
                 {"'patch_embed.proj.weight'", fmt::format("[{}, 3, 4, 4]", golden.embed_dim),
                  "[24, 3, 4, 4]"});
    full.metadata["embed_dim"] = "many";
    write_safetensors(path, full.tensors, full.metadata);
    expect_words(error_of(ErrorCode::kInvalidArgument, [&] { load(path); }),
                 {"__metadata__", "embed_dim", "many"});
  }
}

TEST_F(LoadCheckpoint, TakesTheBackboneOfADetector) {
  Config config = small_config();
  config.num_classes = 0;
  const TensorMap model = fill_parameters(config);
  TensorMap detector;
  for (const auto& [name, tensor] : model) {
    if (!name.starts_with("norm.")) detector["backbone." + name] = tensor;
  }
  for (int level = 0; level < 3; ++level) {
    for (const char* part : {"weight", "bias"}) {
      const std::string name = fmt::format("backbone.norm{}.{}", level, part);
      detector[name] = fill_tensor(name, {8 << level});
    }
  }
  detector["neck.lateral_convs.0.conv.weight"] = make_tensor({1}, {1});
  const auto path = file("detector.safetensors");
  write_safetensors(path, detector);
  const Checkpoint loaded = load(path);
  EXPECT_EQ(loaded.spec.config.num_classes, 0);
  EXPECT_TRUE(
      test::same_tensor(loaded.tensors.at("norm.weight"), detector.at("backbone.norm2.weight")));
  expect_words(notes(), {"'backbone.'", "norm2", "1 others"});
}

TEST_F(LoadCheckpoint, ReadsTheAuthorsCheckpoints) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1, 1, 1, 1};
  config.num_classes = 7;
  const TensorMap expected = fill_parameters(config);
  for (const char* name : {"official_zip.pth", "official_legacy.pth"}) {
    const Checkpoint loaded = load(test::data(std::string("golden/checkpoints/") + name));
    EXPECT_EQ(loaded.spec.config, config) << name;
    EXPECT_EQ(loaded.spec.name, "asmlp_c8");
    test::expect_same_tensors(loaded.tensors, expected);
    expect_words(notes(), {"shift size 5 is taken from its training config", "asmlp_c8",
                           "drop path rate 0"});
  }
  const auto half = test::data("golden/checkpoints/bare_state_dict_half.pth");
  const Checkpoint loaded = load(half);
  EXPECT_EQ(loaded.spec.config, config);
  EXPECT_EQ(loaded.tensors.at("head.bias").dtype, DType::kF16);
  expect_words(notes(), {"shift size 5 is assumed"});
  for (const auto& [name, tensor] : expected) {
    EXPECT_LE(test::relative_error(to_f32(loaded.tensors.at(name)), to_f32(tensor)), 0x1p-11)
        << name;
  }
  expect_words(error_of(ErrorCode::kMismatch,
                        [&] { load(test::data("golden/checkpoints/tensor_zoo.pth")); }),
               {"tensor_zoo.pth", "'patch_embed.proj.weight' is missing"});
}

TEST_F(LoadCheckpoint, TellsFormatsByContent) {
  expect_words(error_of(ErrorCode::kNotFound, [&] { load(file("missing.safetensors")); }),
               {"missing"});
  for (const std::string content : {"", "x", "GIF89a, certainly no weights", "\x80\x04junk"}) {
    test::write_bytes(file("model.pth"), content);
    expect_words(error_of(ErrorCode::kBadFormat, [&] { load(file("model.pth")); }), {"model.pth"});
  }
}

// The weights of a baseline are not taken for an AS-MLP's. (The key is that of versions before
// 0.2.)
TEST(BaselineWeights, AreNoAsMlp) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "swin.safetensors";
  write_safetensors(
      path, {{"norm.weight", make_tensor({1}, {1})}},
      {{"asmlp_architecture", to_json(resolve_architecture("swin_tiny_patch4_window7_224"))}});
  try {
    load_checkpoint(path);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
  }
}

}  // namespace
}  // namespace asmlp::checkpoint_test
