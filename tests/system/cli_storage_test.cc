// asmlp convert --dtype: files whose weights are halves, in every command that reads weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_storage_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string path_in(const TemporaryFolder& folder, const std::string& name) {
  return folder.path() / name;
}

class Storage : public testing::TestWithParam<const char*> {
 protected:
  std::string path(const std::string& name) const { return path_in(folder_, name); }
  // `file` with its weights in the type of this test.
  std::string stored(const std::string& file) const {
    const std::string made = path("stored.safetensors");
    const Outcome outcome = run({"convert", file, made, "--dtype", GetParam(), "--quiet"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return made;
  }
  static void expect_runs(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << testing::PrintToString(words) << outcome.err;
  }
  // How far halves may be off, relative to a number.
  static double epsilon() { return std::string(GetParam()) == "bf16" ? 0x1p-8 : 0x1p-11; }

  TemporaryFolder folder_;
};

TEST_P(Storage, OfAClassifierIsReadByEverything) {
  const std::string model = write_model(path("m.safetensors"), 3, 5, 16);
  const std::string half = stored(model);
  const Json info = run({"info", half, "--json"}).json()["model"];
  EXPECT_EQ(info["file_bytes"], fs::file_size(half));
  int64_t matrices = 0, vectors = 0;
  const TensorMap was = read_safetensors(model).tensors, is = read_safetensors(half).tensors;
  for (const auto& [name, tensor] : was) {
    const bool matrix = tensor.shape.size() > 1;
    (matrix ? matrices : vectors) += element_count(tensor.shape);
    EXPECT_EQ(is.at(name).dtype == DType::kF32, !matrix) << name;
  }
  EXPECT_EQ(info["storage"], (Json{{GetParam(), matrices}, {"fp32", vectors}}));
  EXPECT_THAT(run({"info", half}).out, AllOf(HasSubstr("stored in"), HasSubstr(GetParam())));

  write_safetensors(path("x.safetensors"), {{"input", fill_tensor("input", {2, 3, 32, 32})}});
  const auto logits = [&](const std::string& weights) {
    expect_runs({"forward", "--weights", weights, "--input", path("x.safetensors"), "--output",
                 path("y.safetensors")});
    return to_f32(read_safetensors(path("y.safetensors")).tensors.at("logits"));
  };
  // A dozen layers, each off by about epsilon.
  EXPECT_LT(relative_error(logits(half), logits(model)), 12 * epsilon());
  EXPECT_NE(logits(half), logits(model));

  fs::create_directories(path("data/val/kind b"));
  fs::copy_file(data("photos/coffee.png"), path("data/val/kind b/coffee.png"));
  expect_runs({"predict", data("photos/coffee.png"), "--model", half, "--cam", path("cam")});
  expect_runs({"predict", data("photos/coffee.png"), "--model", half, "--precision", "bf16"});
  expect_runs({"validate", path("data"), "--model", half});
  expect_runs({"calibrate", half, "--temperature", "2", "-o", path("c.safetensors")});
  EXPECT_EQ(read_safetensors(path("c.safetensors")).tensors.at("head.weight").dtype, DType::kF32);
  expect_runs({"quantize", half, "--data", data("photos"), "-o", path("q.safetensors"),
               "--max-error", "1"});
  expect_runs({"predict", data("photos/coffee.png"), "--model", path("q.safetensors")});
  expect_runs({"bench", "--model", half, "--runs", "2", "--warmup", "0", "--cold-starts", "0"});

  // int8 layers stay; what is left is stored smaller.
  expect_runs({"convert", path("q.safetensors"), path("s.safetensors"), "--dtype", GetParam()});
  for (const auto& [name, tensor] : read_safetensors(path("q.safetensors")).tensors) {
    if (tensor.dtype != DType::kI8) continue;
    EXPECT_EQ(read_safetensors(path("s.safetensors")).tensors.at(name).dtype, DType::kI8) << name;
  }
  expect_runs({"predict", data("photos/coffee.png"), "--model", path("s.safetensors")});

  // Back: the same numbers in fp32.
  expect_runs({"convert", half, path("back.safetensors"), "--dtype", "fp32"});
  EXPECT_EQ(logits(path("back.safetensors")), logits(half));
  EXPECT_LT(fs::file_size(half), fs::file_size(model));
}

TEST_P(Storage, OfADetectorAndASegmentorIsReadByEverything) {
  const std::string photo = data("photos/coffee.png");
  const std::string detector = stored(data("models/mask_rcnn_scenes.safetensors"));
  expect_runs({"detect", photo, "--model", detector, "--output", path("d")});
  expect_runs({"validate", data("coco_base"), "--model", detector});
  const std::string segmentor = stored(data("models/upernet_scenes.safetensors"));
  expect_runs({"segment", photo, "--model", segmentor, "--output", path("s")});
  expect_runs({"info", segmentor});
}

TEST(ConvertOrigin, IsSetReplacedAndRemoved) {
  const TemporaryFolder folder;
  const std::string model = write_model(path_in(folder, "m.safetensors"), 3, 5, 16);
  const std::string a = path_in(folder, "a.safetensors"), b = path_in(folder, "b.safetensors");
  const auto origin = [](const std::string& file) {
    return run({"info", file, "--json"}).json()["model"]["origin"];
  };
  ASSERT_EQ(run({"convert", model, a, "--origin", "license=a=b", "--origin", "data=photos"}).code,
            0);
  EXPECT_EQ(origin(a)["license"], "a=b");
  EXPECT_EQ(origin(a)["data"], "photos");
  ASSERT_EQ(run({"convert", a, b, "--origin", "license=other", "--origin", "data="}).code, 0);
  EXPECT_EQ(origin(b)["license"], "other");
  EXPECT_FALSE(origin(b).contains("data"));
  const Outcome wrong = run({"convert", a, b, "--origin", "license"});
  EXPECT_NE(wrong.code, 0);
  EXPECT_THAT(wrong.err, HasSubstr("KEY=TEXT"));
}

INSTANTIATE_TEST_SUITE_P(All, Storage, testing::Values("bf16", "fp16"),
                         [](const auto& info) { return std::string(info.param); });

TEST(StorageTypes, WhatDoesNotFitIsNamed) {
  const TemporaryFolder folder;
  const std::string model = write_model(path_in(folder, "m.safetensors"));
  TensorFile file = read_safetensors(model);
  Tensor& head = file.tensors.at("head.weight");
  std::vector<float> values = to_f32(head);
  values[3] = 70000;
  head = make_tensor(head.shape, values);
  const std::string large = path_in(folder, "large.safetensors"),
                    out = path_in(folder, "o.safetensors");
  write_safetensors(large, file.tensors, file.metadata);
  const Outcome outcome = run({"convert", large, out, "--dtype", "fp16"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("head.weight"), HasSubstr("70000"), HasSubstr("bf16")));
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(run({"convert", large, out, "--dtype", "bf16"}).code, 0);
  const Outcome unknown = run({"convert", model, out, "--dtype", "int4"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("--dtype"), HasSubstr("bf16")));
}

}  // namespace
}  // namespace asmlp::test::cli_storage_test
