// Pictures and files of weights as they come: `detect` and `segment` do what can be done, and say
// of the rest what is wrong and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_dense_input_test {
namespace {

using testing::AllOf, testing::HasSubstr, testing::SizeIs;

std::string trained(const char* name) { return data("models") / name; }

struct Kind {
  const char* command;
  const char* model;
  const char* other;  // a model of the other kind
  const char* other_kind;
  const char* other_command;
};
constexpr Kind kKinds[]{{"detect", "mask_rcnn_scenes.safetensors", "upernet_scenes.safetensors",
                         "segmentor", "asmlp segment"},
                        {"segment", "upernet_scenes.safetensors", "mask_rcnn_scenes.safetensors",
                         "detector", "asmlp detect"}};

class DenseInputs : public testing::TestWithParam<Kind> {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }
  Outcome on(const std::string& images, std::vector<std::string> more) const {
    std::vector<std::string> words{GetParam().command, images, "--output", path("out"),
                                   "--threads",        "1",    "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  TemporaryFolder folder_;
};

TEST_P(DenseInputs, PicturesOfEveryShape) {
  fs::create_directories(path("odd"));
  write_png(path("odd/a_pixel.png"), Image(1, 1, 3));
  write_png(path("odd/b_wide.png"), Image(1, 4000, 3));
  write_png(path("odd/c_high.png"), Image(4000, 1, 1));
  write_png(path("odd/d_small.png"), Image(3, 2, 3));
  std::ofstream(path("odd/e_torn.png")) << "\x89PNG";
  std::ofstream(path("odd/f_empty.png")) << "";
  const Outcome outcome = on(path("odd"), {"--model", trained(GetParam().model)});
  EXPECT_EQ(outcome.code, 1);
  const Json json = outcome.json();
  EXPECT_THAT(json["images"], SizeIs(4));
  EXPECT_THAT(json["failed"], SizeIs(1));
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("e_torn.png"), HasSubstr("left out of"), HasSubstr("1 empty")));
  for (const Json& image : json["images"]) {
    EXPECT_GE(image["width"].get<int>(), 1);
    if (!image.contains("detections")) continue;
    for (const Json& d : image["detections"]) {
      for (const Json& side : d["bbox"]) EXPECT_TRUE(std::isfinite(side.get<double>()));
    }
  }
}

TEST_P(DenseInputs, WeightsThatCannotBeUsed) {
  const std::string image = data("coco_base/val2017/000000000001.jpg");
  TensorFile file = read_safetensors(trained(GetParam().model));
  const auto refused = [&](const std::string& model, const testing::Matcher<std::string>& err) {
    const Outcome outcome = on(image, {"--model", model});
    EXPECT_EQ(outcome.code, 1) << model;
    EXPECT_THAT(outcome.err, err);
    EXPECT_TRUE(outcome.json().contains("error"));
  };
  // Another kind of model: which command takes it.
  refused(trained(GetParam().other),
          AllOf(HasSubstr(std::string("weights of a ") + GetParam().other_kind),
                HasSubstr(GetParam().other_command)));
  // Not a number.
  TensorMap tensors = file.tensors;
  const std::string name = "backbone.patch_embed.proj.weight";
  std::vector<float> values = to_f32(tensors.at(name));
  values[3] = NAN;
  tensors[name] = make_tensor(tensors.at(name).shape, std::move(values));
  write_safetensors(path("nan.safetensors"), tensors, file.metadata);
  refused(path("nan.safetensors"), AllOf(HasSubstr("nan.safetensors"), HasSubstr(name)));
  // One is missing, one too many.
  tensors = file.tensors;
  tensors.erase(name);
  write_safetensors(path("few.safetensors"), tensors, file.metadata);
  refused(path("few.safetensors"), AllOf(HasSubstr(name), HasSubstr("missing")));
  tensors = file.tensors;
  tensors["backbone.other"] = tensors.at(name);
  write_safetensors(path("many.safetensors"), tensors, file.metadata);
  refused(path("many.safetensors"), AllOf(HasSubstr("backbone.other"), HasSubstr("unexpected")));
  // Cut off.
  fs::copy_file(trained(GetParam().model), path("torn.safetensors"));
  fs::resize_file(path("torn.safetensors"), fs::file_size(path("torn.safetensors")) / 2);
  refused(path("torn.safetensors"), HasSubstr("torn.safetensors"));
  refused(path("nowhere.safetensors"), HasSubstr("nowhere.safetensors"));
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_P(DenseInputs, HowToRun) {
  const std::string image = data("coco_base/val2017/000000000001.jpg");
  const std::vector<std::string> model{"--model", trained(GetParam().model)};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = model;
    words.insert(words.end(), more.begin(), more.end());
    return on(image, words);
  };
  EXPECT_EQ(with({"--isa", "reference"}).code, 0);
  EXPECT_EQ(with({"--precision", "bf16"}).code, 0);
  EXPECT_EQ(with({"--isa", "avx9"}).code, 2);
  EXPECT_EQ(with({"--precision", "fp7"}).code, 2);
  EXPECT_EQ(with({"--backend", "onnx"}).code, 2);
  EXPECT_EQ(with({"--threads", "300"}).code, 2);
}

INSTANTIATE_TEST_SUITE_P(All, DenseInputs, testing::ValuesIn(kKinds),
                         [](const auto& info) { return std::string(info.param.command); });

// Large pictures by tiles.
TEST(Tiles, FindWhatIsOnThePicture) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder.path() / name).string(); };
  // Three pictures side by side, and again below.
  Image large;
  for (int i = 0; i < 3; ++i) {
    const Image one = decode_image(data(fmt::format("coco_base/val2017/00000000000{}.jpg", i + 1)));
    if (i == 0) large = Image(2 * one.height, 3 * one.width, 3);
    ASSERT_EQ(one.height * 2, large.height);
    for (int y = 0; y < large.height; ++y) {
      std::copy_n(one.row(y % one.height), 3 * one.width, large.row(y) + i * 3 * one.width);
    }
  }
  write_png(path("large.png"), large);
  const auto detect = [&](const std::string& image, const std::vector<std::string>& more) {
    std::vector<std::string> words{"detect", image,           "--model",   trained(kKinds[0].model),
                                   "--json", "--no-pictures", "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json()["images"][0]["detections"];
  };
  const auto seen = [](const Json& detections) {
    return std::ranges::count_if(detections, [](const Json& d) { return d["score"] > 0.5; });
  };
  const Json tiled = detect(path("large.png"), {"--tiles", "160", "--tile-overlap", "40"});
  EXPECT_GT(seen(tiled), seen(detect(path("large.png"), {})));
  double last = 1;
  for (const Json& d : tiled) {
    EXPECT_LE(d["score"].get<double>(), last);
    last = d["score"];
    EXPECT_LE(d["bbox"][0].get<double>() + d["bbox"][2].get<double>(), large.width + 0.01);
    EXPECT_LE(d["bbox"][1].get<double>() + d["bbox"][3].get<double>(), large.height + 0.01);
    EXPECT_EQ(d["segmentation"]["size"], Json::array({large.height, large.width}));
  }
  // In batches the same; of one tile what a picture alone gives.
  const Json batched =
      detect(path("large.png"), {"--tiles", "160", "--tile-overlap", "40", "--batch-size", "4"});
  EXPECT_EQ(batched.size(), tiled.size());
  const std::string small = data("coco_base/val2017/000000000001.jpg");
  EXPECT_EQ(detect(small, {"--tiles", "4000"}), detect(small, {}));
  // Evaluation sees the tiles, too.
  const Outcome scores = run({"validate", data("coco_base"), "--model", trained(kKinds[0].model),
                              "--tiles", "4000", "--json", "--threads", "1"});
  ASSERT_EQ(scores.code, 0) << scores.err;
  EXPECT_GT(scores.json()["bbox"]["AP"].get<double>(), 0.7);
  const auto usage = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"detect", small, "--no-pictures"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  EXPECT_EQ(usage({"--tiles", "31"}).code, 2);
  EXPECT_EQ(usage({"--tiles", "100", "--tile-overlap", "51"}).code, 2);
  EXPECT_EQ(usage({"--tile-overlap", "51"}).code, 2);
  EXPECT_THAT(usage({"--tile-whole"}).err, HasSubstr("--tiles"));
}

}  // namespace
}  // namespace asmlp::test::cli_dense_input_test
