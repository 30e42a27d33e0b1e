#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "tests/support/model_files.h"
#include "asmlp/core/cpu.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/model/params.h"
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
  const ModelInfo info = model_info(*load_model(file));
  EXPECT_EQ(info.name, "filled");
  EXPECT_EQ(info.in_channels, 3);
  EXPECT_EQ(info.num_classes, 5);
  EXPECT_EQ(info.image_size, 32);
  EXPECT_EQ(info.embedding_size, 24);
  EXPECT_THAT(info.classes, ElementsAre("class 0", "class 1", "class 2", "class 3", "class 4"));
  EXPECT_EQ(info.parameters, parameter_count(spec.config));
  EXPECT_EQ(info.multiply_adds, multiply_adds(spec.config, 32, 32));
  EXPECT_EQ(info.precision, "fp32");
  EXPECT_EQ(info.isa, to_string(default_isa()));
  EXPECT_EQ(spec_from_json(info.description, "description"), spec);
}

TEST(LoadModel, SettingsReachTheModel) {
  for (Isa isa : available_isas()) {
    LoadSettings settings;
    settings.isa = to_string(isa);
    settings.precision = "bf16";
    const auto model = load_model(kPth, settings);
    EXPECT_EQ(model->isa(), isa);
    EXPECT_EQ(model->precision(), Precision::kBf16);
    EXPECT_EQ(model_info(*model).isa, settings.isa);
    EXPECT_EQ(model_info(*model).precision, "bf16");
  }
}

// The rest of the spec is of weights/; here: what each setting means.
TEST(LoadModel, ShiftSizeAndConfigOfTheCaller) {
  const auto bare = data("golden/checkpoints/bare_state_dict_half.pth");
  const auto shift_of = [&](int h, int w) {
    LoadSettings settings;
    settings.shift_h = h;
    settings.shift_w = w;
    std::vector<std::string> notes;
    const auto model = load_model(bare, settings, &notes);
    EXPECT_THAT(notes, testing::Contains(HasSubstr("shift size")));
    return model->config().shift_size;
  };
  EXPECT_EQ(shift_of(0, 0), (ShiftSize{5, 5}));
  EXPECT_EQ(shift_of(3, 0), (ShiftSize{3, 3}));
  EXPECT_EQ(shift_of(0, 7), (ShiftSize{7, 7}));
  EXPECT_EQ(shift_of(3, 7), (ShiftSize{3, 7}));

  ModelSpec spec = load_model(bare)->spec();
  spec.config.padding = Padding::kReflect;
  LoadSettings settings;
  settings.config = to_json(spec);
  EXPECT_EQ(load_model(bare, settings)->spec(), spec);
}

TEST(LoadModel, ErrorsHaveTheirCode) {
  const auto code_with = [](auto&& change) {
    LoadSettings settings;
    change(settings);
    return error_of([&] { load_model(kPth, settings); });
  };
  EXPECT_EQ(code_with([](LoadSettings& s) { s.precision = "fp16"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadSettings& s) { s.isa = "avx1024"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadSettings& s) { s.shift_h = -1; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadSettings& s) { s.shift_w = 256; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadSettings& s) { s.config = "{\"embed_dimm\": 3}"; }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_with([](LoadSettings& s) { s.config = "{\"embed_dim\": 64}"; }),
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
  EXPECT_EQ(error_of([] { read_image("/nowhere.png"); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([] { read_image(nullptr, 4); }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(error_of([] { read_image("", 0); }));
}

}  // namespace
}  // namespace asmlp::model_test
