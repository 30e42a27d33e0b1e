#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "asmlp/core/cpu.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/model/params.h"
#include "tests/support/model_files.h"
#include "tests/support/support.h"

namespace asmlp::model_test {
namespace {

using test::data;
using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kPth = data("golden/checkpoints/official_zip.pth");

TEST(LoadModel, InfoSaysWhatTheFileSays) {
  const test::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "m.safetensors";
  const ModelSpec spec = write_filled_model(file).spec;
  const LoadResult loaded = load_model(file);
  EXPECT_TRUE(loaded.notes.empty());
  const ModelInfo& info = loaded.model->info();
  EXPECT_EQ(info.name, "filled");
  EXPECT_EQ(loaded.model->name(), "filled");
  EXPECT_EQ(info.task, Task::kClassify);
  EXPECT_TRUE(info.is_classifier);
  EXPECT_EQ(info.in_channels, 3);
  EXPECT_EQ(info.num_classes, 5);
  EXPECT_EQ(info.image_size, 32);
  EXPECT_EQ(info.embedding_size, 24);
  EXPECT_THAT(info.classes, ElementsAre("class 0", "class 1", "class 2", "class 3", "class 4"));
  EXPECT_EQ(info.parameters, parameter_count(spec.config));
  EXPECT_EQ(info.multiply_adds, multiply_adds(spec.config, 32, 32));
  EXPECT_EQ(info.precision, Precision::kFp32);
  EXPECT_EQ(info.isa, default_isa());
  EXPECT_EQ(spec_from_json(info.description, "description"), spec);

  write_filled_model(file, 3, 0);
  EXPECT_FALSE(load_model(file).model->info().is_classifier);
}

TEST(LoadModel, OptionsReachTheModel) {
  for (Isa isa : available_isas()) {
    LoadOptions options;
    options.isa = isa;
    options.precision = Precision::kBf16;
    const auto model = load_model(kPth, options).model;
    EXPECT_EQ(model->packed()->isa(), isa);
    EXPECT_EQ(model->packed()->precision(), Precision::kBf16);
    EXPECT_EQ(model->info().isa, isa);
    EXPECT_EQ(model->info().precision, Precision::kBf16);
  }
}

TEST(LoadModel, AnIsaThatTheMachineDoesNotHaveIsRefused) {
  LoadOptions options;
  options.isa = Isa::kAvx512Amx;
  if (available_isas().back() == options.isa) GTEST_SKIP() << "this machine has them all";
  EXPECT_EQ(error_of([&] { load_model(kPth, options); }), ErrorCode::kUnsupported);
}

TEST(Model, SaysTheShapesOfItsFeatures) {
  const test::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "m.safetensors";
  write_filled_model(file);
  const auto model = load_model(file).model;
  const FeatureShape shape = model->feature_shape(1, 33, 60);  // stride 8
  EXPECT_EQ(shape.channels, 24);
  EXPECT_EQ(shape.height, 5);
  EXPECT_EQ(shape.width, 8);
  for (const auto& [feature, height, width] :
       {std::tuple{3, 32, 32}, {-1, 32, 32}, {0, 0, 32}, {0, 32, 16385}}) {
    EXPECT_EQ(error_of([&, k = feature, h = height, w = width] { model->feature_shape(k, h, w); }),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(error_of([] { Model none(nullptr); }), ErrorCode::kInvalidArgument);
}

// The rest of the spec is of weights/; here: what each option means.
TEST(LoadModel, ShiftSizeAndConfigOfTheCaller) {
  const auto bare = data("golden/checkpoints/bare_state_dict_half.pth");
  const auto shift_of = [&](int h, int w) {
    LoadOptions options;
    options.shift_h = h;
    options.shift_w = w;
    const LoadResult loaded = load_model(bare, options);
    EXPECT_THAT(loaded.notes, testing::Contains(HasSubstr("shift size")));
    return loaded.model->packed()->config().shift_size;
  };
  EXPECT_EQ(shift_of(0, 0), (ShiftSize{5, 5}));
  EXPECT_EQ(shift_of(3, 0), (ShiftSize{3, 3}));
  EXPECT_EQ(shift_of(0, 7), (ShiftSize{7, 7}));
  EXPECT_EQ(shift_of(3, 7), (ShiftSize{3, 7}));

  ModelSpec spec = load_model(bare).model->packed()->spec();
  spec.config.padding = Padding::kReflect;
  LoadOptions options;
  options.config = to_json(spec);
  EXPECT_EQ(load_model(bare, options).model->packed()->spec(), spec);
}

TEST(LoadModel, ErrorsHaveTheirCode) {
  const auto code_with = [](auto&& change) {
    LoadOptions options;
    change(options);
    return error_of([&] { load_model(kPth, options); });
  };
  EXPECT_EQ(code_with([](LoadOptions& o) { o.shift_h = -1; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadOptions& o) { o.shift_w = 256; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadOptions& o) { o.config = "{\"embed_dimm\": 3}"; }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadOptions& o) { o.config = "{\"embed_dim\": 64}"; }),
            ErrorCode::kMismatch);
  EXPECT_EQ(error_of([] { load_model("/nowhere/model.safetensors"); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([] { load_model(data("golden/checkpoints/hostile_reduce.pth")); }),
            ErrorCode::kBadFormat);
}

TEST(ReadImage, FilesAndBytesGiveTheDecodersPixels) {
  for (const char* name : {"images/jpeg_grey.jpg", "images/png_palette4_trns.png",
                           "images/webp_lossy.webp", "photos/flower.jpg"}) {
    const Image expected = decode_image(data(name));
    const DecodedImage file = read_image(data(name));
    std::ifstream stream(data(name), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    const DecodedImage memory = read_image(bytes.data(), bytes.size());
    for (const DecodedImage& image : {file, memory}) {
      EXPECT_EQ(image.height, expected.height) << name;
      EXPECT_EQ(image.width, expected.width) << name;
      EXPECT_EQ(image.pixels, expected.pixels) << name;
    }
    EXPECT_EQ(file.pixels.size(), size_t(3) * file.height * file.width);
  }
  // A picture of 11 x 13 pixels, stored as 13 x 11.
  const auto turned = data("pictures/turned_6.png");
  EXPECT_EQ(read_image(turned).height, 11);
  EXPECT_EQ(read_image(turned, {.exif = Exif::kIgnore}).height, 13);
  EXPECT_EQ(error_of([&] { read_image(turned, {.max_pixels = 142}); }), ErrorCode::kTooLarge);
  EXPECT_EQ(error_of([&] { read_image(turned, {.max_pixels = -1}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { read_image("/nowhere.png"); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([] { read_image(nullptr, 4); }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(error_of([] { read_image("", 0); }));
}

}  // namespace
}  // namespace asmlp::model_test
