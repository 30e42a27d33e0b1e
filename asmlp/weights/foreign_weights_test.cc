// Files of other programs: wrappers around names, shards, folders, and files that are no weights.
#include <gmock/gmock.h>

#include <limits>

#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/model_file.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::foreign_weights_test {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::expect_words;
using testing::HasSubstr;

class ForeignWeights : public testing::Test {
 protected:
  ForeignWeights() {
    config_.embed_dim = 8;
    config_.depths = {1, 1};
    config_.num_classes = 3;
    model_ = fill_parameters(config_);
  }
  // The model's tensors under other names, in a file without a description.
  TensorMap under(const std::string& prefix) const {
    TensorMap out;
    for (const auto& [name, tensor] : model_) out[prefix + name] = tensor;
    return out;
  }
  fs::path write(const TensorMap& tensors, const std::string& name = "x.safetensors") {
    write_safetensors(folder_.path() / name, tensors, {});
    return folder_.path() / name;
  }
  Checkpoint load(const fs::path& path) {
    notes_.clear();
    return load_checkpoint(path, {}, &notes_);
  }
  std::string notes() const { return fmt::format("{}", fmt::join(notes_, "\n")); }
  std::string refusal(const fs::path& path) {
    return error_of([&] { load(path); }).what();
  }

  Config config_;
  TensorMap model_;
  test::TemporaryFolder folder_;
  std::vector<std::string> notes_;
};

TEST_F(ForeignWeights, OfEveryCaseAreThoseOfThePlainReference) {
  const auto file = [](const char* name) { return test::data(std::string("checkpoints/") + name); };
  const Checkpoint expected = load(file("plain_reference.pth"));
  for (const char* name :
       {"zip_protocol3.pth", "legacy_protocol4.pth", "model_state_dict_key.pth",
        "lightning_model_prefix.ckpt", "module_prefix.safetensors", "orig_mod_prefix.safetensors",
        "sharded", "sharded/model.safetensors.index.json", "range_in_meta.pth", "deque_in_meta.pth",
        "whole_module.pth", "inert_objects.pth", "averaged_legacy.pth"}) {
    const Checkpoint loaded = load(file(name));
    EXPECT_EQ(loaded.spec.config, expected.spec.config) << name;
    EXPECT_EQ(loaded.tensors.size(), expected.tensors.size()) << name;
    for (const auto& [key, tensor] : expected.tensors) {
      EXPECT_EQ(to_f32(loaded.tensors.at(key)), to_f32(tensor)) << name << " " << key;
    }
  }
  load(file("whole_module.pth"));
  expect_words(notes(), {"whole pickled model", "DataParallel", "shift size 5 is taken from"});
  load(file("averaged_legacy.pth"));
  expect_words(notes(), {"'model_ema'", "'model'", "n_averaged"});
}

TEST_F(ForeignWeights, LoseWhatWrappersPutBeforeTheirNames) {
  for (const char* prefix :
       {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.",
        "model._orig_mod.", "module.model.", "encoder.", "backbone.", "model.backbone.",
        "_fsdp_wrapped_module.", "some.other.name."}) {
    const Checkpoint loaded = load(write(under(prefix)));
    EXPECT_EQ(loaded.spec.config, config_) << prefix;
    test::expect_same_tensors(loaded.tensors, model_);
  }
  // Inside the names, too.
  TensorMap tensors;
  for (const auto& [name, tensor] : model_) {
    std::string inner = name;
    if (name.starts_with("layers.0.")) inner.insert(9, "_checkpoint_wrapped_module.");
    tensors[inner] = tensor;
  }
  tensors["n_averaged"] = make_tensor({1}, {7});
  tensors["ema_layers_0_norm_bias"] = make_tensor({1}, {7});
  tensors["steps"] = make_tensor({1}, {7});
  test::expect_same_tensors(load(write(tensors)).tensors, model_);
  expect_words(notes(), {"2 others", "EMA"});

  // Others beside the model are left out, averaged weights come first.
  tensors = under("model.");
  for (auto& [name, tensor] : under("model_ema.module.")) tensors[name] = tensor;
  tensors["criterion.weight"] = make_tensor({1}, {1});
  tensors["model.head.bias"] = make_tensor({3}, {9, 9, 9});
  test::expect_same_tensors(load(write(tensors)).tensors, model_);
  expect_words(notes(), {"'model_ema.module.'", "2 models", "'model.'"});

  // Two names that become one.
  tensors = under("");
  tensors["module.norm.bias"] = model_.at("norm.bias");
  EXPECT_THAT(refusal(write(tensors)), HasSubstr("twice"));
}

TEST_F(ForeignWeights, OfABackboneTakeTheHeadBesideIt) {
  for (const char* head : {"head.fc.", "head.", "classifier.", "fc."}) {
    TensorMap tensors;
    for (const auto& [name, tensor] : model_) {
      tensors[name.starts_with("head.") ? head + name.substr(5) : "backbone." + name] = tensor;
    }
    test::expect_same_tensors(load(write(tensors)).tensors, model_);
    expect_words(notes(), {fmt::format("head '{}'", head).c_str()});
  }
}

TEST_F(ForeignWeights, InShardsAreWholeOrRefused) {
  const auto index = [&](const std::string& map) {
    const fs::path path = folder_.path() / "model.safetensors.index.json";
    test::write_bytes(path, R"({"metadata": {}, "weight_map": {)" + map + "}}");
    return path;
  };
  TensorMap parts[2];
  std::string map;
  size_t k = 0;
  for (const auto& [name, tensor] : under("module.")) {
    const size_t part = k++ % 2;
    parts[part][name] = tensor;
    map += fmt::format(R"({}"{}": "s-0000{}-of-00002.safetensors")", map.empty() ? "" : ", ", name,
                       part + 1);
  }
  for (size_t p = 0; p < 2; ++p)
    write(parts[p], fmt::format("s-0000{}-of-00002.safetensors", p + 1));
  const fs::path good = index(map);
  test::write_bytes(folder_.path() / "config.json",
                    R"({"id2label": {"0": "a", "1": "b", "2": "c"}})");
  for (const fs::path& path : {good, folder_.path()}) {
    const Checkpoint loaded = load(path);
    test::expect_same_tensors(loaded.tensors, model_);
    EXPECT_THAT(loaded.spec.classes, testing::ElementsAre("a", "b", "c"));
    expect_words(notes(), {"2 shards", "id2label"});
  }
  EXPECT_THAT(refusal(folder_.path() / "s-00001-of-00002.safetensors"),
              testing::AllOf(HasSubstr("one shard"), HasSubstr("index.json")));

  for (const char* place : {"../../../etc/passwd", "/etc/passwd", "..", "a/b", "a\\\\b", ""}) {
    index(map + fmt::format(R"(, "evil": "{}")", place));
    EXPECT_THAT(refusal(good), testing::AllOf(HasSubstr("refused"), HasSubstr("'evil'"))) << place;
  }
  index(map + R"(, "more": "s-00003-of-00002.safetensors")");
  EXPECT_THAT(refusal(good), testing::AllOf(HasSubstr("missing"), HasSubstr("s-00003-of")));
  index(map + R"(, "more": "s-00001-of-00002.safetensors")");
  EXPECT_THAT(refusal(good), testing::AllOf(HasSubstr("'more'"), HasSubstr("is not in")));
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map": {}})", R"({"weight_map": {"a": 1}})"}) {
    test::write_bytes(good, text);
    EXPECT_THAT(refusal(good), HasSubstr("index.json")) << text;
  }
  index(map);
  parts[0].insert(*parts[1].begin());
  write(parts[0], "s-00001-of-00002.safetensors");
  EXPECT_THAT(refusal(good), HasSubstr(parts[1].begin()->first));
  fs::remove(folder_.path() / "s-00002-of-00002.safetensors");
  EXPECT_THAT(refusal(good), testing::AllOf(HasSubstr("1 of its 2 shards"), HasSubstr("s-00002")));
}

TEST_F(ForeignWeights, InAFolderAreFoundOrTheFolderIsNamed) {
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("empty folder"));
  test::write_bytes(folder_.path() / "notes.txt", "x");
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("without weights"));
  write(model_, "a.safetensors");
  test::expect_same_tensors(load(folder_.path()).tensors, model_);
  write(model_, "b.safetensors");
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("2 files of weights"));
  write(model_, "best.safetensors");
  load(folder_.path());
  EXPECT_THAT(notes(), HasSubstr("best.safetensors is read"));
  fs::create_directory(folder_.path() / "tf");
  test::write_bytes(folder_.path() / "tf/saved_model.pb", "x");
  EXPECT_THAT(refusal(folder_.path() / "tf"), HasSubstr("TensorFlow"));
  fs::create_directory(folder_.path() / "images");
  fs::create_directory(folder_.path() / "images/train");
  EXPECT_THAT(refusal(folder_.path() / "images"), HasSubstr("data set"));
}

TEST_F(ForeignWeights, ThatAreNoneAreNamedForWhatTheyAre) {
  const auto message = [&](std::string content, const char* name = "model.pth") {
    test::write_bytes(folder_.path() / name, content);
    return refusal(folder_.path() / name);
  };
  EXPECT_THAT(message(""), HasSubstr("empty"));
  EXPECT_THAT(message("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(message("\n <!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(message("<?xml version='1.0'?><Error/>"), HasSubstr("XML"));
  EXPECT_THAT(message(R"({"embed_dim": 8})"), HasSubstr("--config"));
  EXPECT_THAT(message(R"({"model":{"embed_dim": 8}})"), HasSubstr("--config"));
  EXPECT_THAT(message("MODEL:\n  NAME: x\n", "model.yaml"), HasSubstr("YAML"));
  EXPECT_THAT(message("\x89HDF\r\n\x1a\n0000"), HasSubstr("HDF5"));
  EXPECT_THAT(message("\x1f\x8b\x08"), HasSubstr("gunzip"));
  EXPECT_THAT(message(std::string("\x08\x07\x12\x07pytorch", 11) + '\x01'), HasSubstr("ONNX"));
  EXPECT_THAT(message(std::string(257, 'a') + '\x01' + "x"), HasSubstr("neither"));
  EXPECT_THAT(message("\x01" + std::string(256, 'a') + "ustar" + std::string(200, 'b')),
              HasSubstr("tar -xf"));
  EXPECT_THAT(message(std::string(4096, '\0')), HasSubstr("zeros"));
  EXPECT_THAT(message("\x89PNG\r\n"), HasSubstr("picture"));
  EXPECT_THAT(message("\x80\x02}."), HasSubstr("plain pickle"));
  const std::string whole = read_file(test::data("checkpoints/plain_reference.pth"));
  EXPECT_THAT(message(whole.substr(0, whole.size() / 2)), HasSubstr("incomplete download"));
}

TEST_F(ForeignWeights, OfOtherNetworksAreNamed) {
  const auto message = [&](TensorMap tensors) { return refusal(write(tensors)); };
  TensorMap swin = model_;
  swin["layers.0.blocks.0.attn.relative_position_bias_table"] = make_tensor({1}, {1});
  EXPECT_THAT(message(swin), HasSubstr("Swin"));
  EXPECT_THAT(message({{"layer1.0.conv1.weight", make_tensor({1}, {1})}}), HasSubstr("ResNet"));
  EXPECT_THAT(message({{"a", make_tensor({1}, {1})}, {"b", make_tensor({1}, {1})}}),
              testing::AllOf(HasSubstr("'patch_embed.proj.weight' is missing"),
                             HasSubstr("2 tensors, the first: 'a', 'b'")));
}

TEST_F(ForeignWeights, ThatAreNotFiniteAreRefusedOrNoted) {
  const fs::path nan = test::data("checkpoints/nan_weights.pth");
  EXPECT_THAT(refusal(nan), testing::AllOf(HasSubstr("not finite"), HasSubstr("nan_weights.pth")));
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    TensorMap tensors = model_;
    tensors["norm.bias"] = make_tensor({16}, std::vector<float>(16, value));
    const fs::path path = write(tensors);
    EXPECT_THAT(refusal(path), HasSubstr("'norm.bias' has 16 of 16"));
    EXPECT_THAT(error_of([&] { load_model_file(path); }).what(), HasSubstr("'norm.bias'"));
    ModelFileOptions info;
    info.non_finite = NonFinite::kNote;
    EXPECT_THAT(load_model_file(path, info).notes, testing::Contains(HasSubstr("'norm.bias'")));
  }
  // Every type, and the largest finite numbers are finite.
  const auto found = [](DType dtype, std::vector<unsigned char> bytes) {
    auto owner = std::make_shared<std::vector<unsigned char>>(std::move(bytes));
    const Tensor tensor{.dtype = dtype,
                        .shape = {static_cast<int64_t>(owner->size() / size_of(dtype))},
                        .bytes = std::as_bytes(std::span(*owner)),
                        .owner = owner};
    return non_finite_values({{"w", tensor}});
  };
  EXPECT_EQ(found(DType::kF16, {0xff, 0x7b, 0xff, 0xfb}), "");
  EXPECT_THAT(found(DType::kF16, {0x00, 0xfc, 0x00, 0x00}), HasSubstr("1 of 2"));
  EXPECT_EQ(found(DType::kBF16, {0x7f, 0x7f}), "");
  EXPECT_THAT(found(DType::kBF16, {0x80, 0x7f}), HasSubstr("1 of 1"));
  EXPECT_EQ(found(DType::kF64, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f}), "");
  EXPECT_THAT(found(DType::kF64, {0, 0, 0, 0, 0, 0, 0xf8, 0xff}), HasSubstr("1 of 1"));
  EXPECT_EQ(found(DType::kI32, {0, 0, 0xc0, 0x7f}), "");
}

// mmdetection's files keep the names of the classes in two ways.
TEST(ClassNamesOfDetectors, ComeFromTheirMeta) {
  ModelFileOptions options;
  options.description =
      resolve_description(test::data("checkpoints/mmdet_class_names/arch.yaml").string());
  options.shift_size = ShiftSize{5, 5};
  for (const char* name : {"meta_CLASSES.pth", "dataset_meta_classes.pth"}) {
    const ModelFile model =
        load_model_file(test::data(std::string("checkpoints/mmdet_class_names/") + name), options);
    ASSERT_EQ(model.description.classes().size(), 10u) << name;
    EXPECT_EQ(model.description.classes().front(), "shirt");
    EXPECT_EQ(model.description.classes().back(), "boot");
  }
}

}  // namespace
}  // namespace asmlp::foreign_weights_test
