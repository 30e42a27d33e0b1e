// predict and validate on photographs and on data sets made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_images_test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Images : public testing::Test {
 protected:
  void SetUp() override {
    model_ = write_model(path("m.safetensors"));
    std::ofstream(path("broken.jpg")) << "\xff\xd8\xff\xe0 not a photograph";
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  TemporaryFolder folder_;
  std::string model_;
};

TEST_F(Images, PredictGoesOnAfterABrokenImage) {
  const std::string photos = data("photos");
  const Outcome outcome = run({"predict", path("broken.jpg"), photos, path("none*.png"), "--model",
                               model_, "--topk", "3", "--json"});
  EXPECT_EQ(outcome.code, 1);
  const Json json = outcome.json();
  ASSERT_EQ(json["images"].size(), 7u);
  for (const Json& image : json["images"]) {
    ASSERT_EQ(image["predictions"].size(), 3u);
    double last = 1, sum = 0;
    for (const Json& prediction : image["predictions"]) {
      EXPECT_LE(prediction["prob"], last);
      last = prediction["prob"];
      sum += last;
      EXPECT_EQ(prediction["label"],
                "kind " + std::string(1, static_cast<char>('a' + prediction["index"].get<int>())));
    }
    EXPECT_LT(sum, 1);
  }
  ASSERT_EQ(json["failed"].size(), 2u);
  EXPECT_EQ(json["failed"][1]["file"], path("broken.jpg"));
  EXPECT_EQ(json["failed"][1]["code"], "bad_format");
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("broken.jpg"), HasSubstr("none*.png")));

  const Outcome text = run({"predict", path("broken.jpg"), photos, "--model", model_});
  EXPECT_EQ(text.code, 1);
  for (const char* name : {"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg",
                           "grace_hopper.jpg", "china.jpg", "flower.jpg"}) {
    EXPECT_THAT(text.out, HasSubstr(name));
  }
  EXPECT_EQ(run({"predict", photos, "--model", model_}).code, 0);
  const Outcome nothing = run({"predict", path("broken.jpg"), "--model", model_});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_EQ(nothing.out, "");
}

TEST_F(Images, EightOrientationsOfAPictureHaveOneResult) {
  std::vector<std::string> arguments{"predict", "--model", model_, "--json"};
  for (int o = 1; o <= 8; ++o) {
    arguments.push_back(data("pictures/turned_" + std::to_string(o) + (o % 2 ? ".png" : ".tif")));
  }
  const Json upright = run(arguments).json()["images"];
  ASSERT_EQ(upright.size(), 8u);
  for (const Json& image : upright) {
    EXPECT_EQ(image["predictions"], upright[0]["predictions"]) << image["file"];
  }
  arguments.insert(arguments.end(), {"--exif", "ignore"});
  const Json stored = run(arguments).json()["images"];
  EXPECT_EQ(stored[0]["predictions"], upright[0]["predictions"]);
  EXPECT_NE(stored[5]["predictions"], upright[5]["predictions"]);
}

TEST_F(Images, StandardInputAndListsAreRead) {
  const std::string photo = data("photos/coffee.png");
  const Json direct = run({"predict", photo, "--model", model_, "--json"}).json()["images"][0];
  RunSettings settings;
  settings.in = photo;
  const Outcome piped = run({"predict", "-", "--model", model_, "--json"}, settings);
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.json()["images"][0]["predictions"], direct["predictions"]);
  std::ofstream(path("list.txt")) << photo << '\n' << path("gone.jpg") << '\n';
  const Outcome listed = run({"predict", "@" + path("list.txt"), "--model", model_, "--json"});
  EXPECT_EQ(listed.code, 1);
  EXPECT_EQ(listed.json()["images"][0]["predictions"], direct["predictions"]);
  EXPECT_EQ(listed.json()["failed"][0]["file"], path("gone.jpg"));
}

TEST_F(Images, MaxPixelsIsALimit) {
  const std::string photo = data("photos/coffee.png");
  const Outcome refused = run({"predict", photo, "--model", model_, "--max-pixels", "1000"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--max-pixels"));
  EXPECT_EQ(run({"predict", photo, "--model", model_, "--max-pixels", "1000000"}).code, 0);
}

TEST_F(Images, PredictionsDependNeitherOnThreadsNorOnBatches) {
  const auto predictions = [&](const char* threads, const char* batch) {
    return run({"predict", data("photos"), "--model", model_, "--threads", threads, "-b", batch,
                "--json"})
        .json()["images"];
  };
  const Json one = predictions("1", "1");
  EXPECT_EQ(one.size(), 7u);
  EXPECT_EQ(one, predictions("2", "4"));
  EXPECT_EQ(one, predictions("3", "64"));
}

TEST_F(Images, ResultsFileHoldsWhatIsPrinted) {
  const std::string photo = data("photos/coffee.png");
  const Outcome outcome = run({"predict", photo, "--model", model_, "--topk", "2", "--json",
                               "--results-file", path("r.csv")});
  const Json best = outcome.json()["images"][0]["predictions"][0];
  std::istringstream csv(slurp(path("r.csv")));
  std::string header, first;
  std::getline(csv, header);
  std::getline(csv, first);
  EXPECT_EQ(header, "filename,rank,index,label,prob");
  EXPECT_THAT(first, testing::StartsWith(photo + ",1," + best["index"].dump() + "," +
                                         best["label"].get<std::string>() + ","));
  run({"predict", photo, "--model", model_, "--results-file", path("r.txt"), "--results-format",
       "json"});
  EXPECT_EQ(Json::parse(slurp(path("r.txt")))["images"].size(), 1u);
}

TEST_F(Images, HeatMapsGetNamesOfTheirOwn) {
  for (const char* folder : {"a", "b", "c"}) {
    fs::create_directories(path(folder));
    fs::copy_file(data("photos/coffee.png"), path(folder) + "/cup.png");
  }
  fs::copy_file(data("photos/rocket.jpg"), path("c") + "/cup-2.jpg");
  const Outcome outcome = run({"predict", path("a"), path("b"), path("c"), "--model", model_,
                               "--cam", path("new/folder"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(listing(path("new/folder")),
              ElementsAre("cup-2-2.cam.png", "cup-2.cam.png", "cup-3.cam.png", "cup.cam.png"));
  const Json answer = outcome.json();
  for (const Json& image : answer["images"]) {
    EXPECT_GE(decode_image(image["cam"].get<std::string>()).width, 2 * 224);
  }
}

TEST_F(Images, TheSheetShowsWhatWasSeen) {
  fs::create_directories(path("many"));
  for (int i = 0; i < 122; ++i) {
    fs::copy_file(data("photos/coffee.png"), path("many") + "/" + std::to_string(i) + ".png");
  }
  const Outcome two = run({"predict", data("photos/coffee.png"), data("photos/rocket.jpg"),
                           "--model", model_, "--sheet", path("two.png")});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.err, HasSubstr("sheet " + path("two.png")));
  const Outcome many = run({"predict", path("many"), "--model", model_, "--sheet", path("m.png")});
  ASSERT_EQ(many.code, 0) << many.err;
  EXPECT_THAT(many.err, HasSubstr("the first 120 pictures; 2 more are left out"));
  const Image small = decode_image(path("two.png")), large = decode_image(path("m.png"));
  EXPECT_GT(large.height, 8 * small.height);
  EXPECT_GT(large.width, 2 * small.width);

  const Outcome wrong =
      run({"predict", data("photos/coffee.png"), "--model", model_, "--sheet", path("two.jpg")});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("must end in .png"));
  EXPECT_FALSE(fs::exists(path("two.jpg")));
}

TEST_F(Images, PreprocessingOptionsOverrideTheModelsAndSaySo) {
  const std::string photo = data("photos/coffee.png");
  const Outcome own = run({"predict", photo, "--model", model_, "--json"});
  const Outcome larger = run({"predict", photo, "--model", model_, "--img-size", "64", "--json"});
  EXPECT_THAT(larger.err, HasSubstr("override"));
  EXPECT_EQ(larger.json()["model"]["img_size"], 64);
  EXPECT_NE(own.json()["images"], larger.json()["images"]);
  for (const std::vector<std::string>& option :
       {std::vector<std::string>{"--crop-pct", "0.5"}, {"--interpolation", "bilinear"}}) {
    const Outcome changed =
        run({"predict", photo, "--model", model_, "--json", option[0], option[1]});
    EXPECT_NE(own.json()["images"], changed.json()["images"]) << option[0];
  }
}

TEST_F(Images, ValidateCountsWhatPredictSaysAndNamesBrokenImages) {
  const std::vector<std::string> photos{"astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg",
                                        "grace_hopper.jpg"};
  for (int k = 0; k < 5; ++k) {
    const fs::path folder = path("data/val/kind ") + static_cast<char>('a' + k);
    fs::create_directories(folder);
    for (const std::string& photo : photos) {
      fs::copy_file(data("photos/" + photo), folder / photo);
    }
  }
  fs::copy_file(path("broken.jpg"), path("data/val/kind b/broken.jpg"));
  const Json predicted = run({"predict", path("data/val"), "--model", model_, "--json"}).json();
  int correct = 0;
  for (const Json& image : predicted["images"]) {
    const std::string label = image["predictions"][0]["label"];
    correct += fs::path(image["file"].get<std::string>()).parent_path().filename() == label;
  }
  // Every photo is there under each class, so one copy in five is right.
  EXPECT_EQ(correct, 5);
  const Outcome outcome = run({"validate", path("data"), "--model", model_, "--json", "--confusion",
                               "--sheet", path("sheet.png"), "--results-file", path("r.json")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("broken.jpg"));
  const Json json = outcome.json();
  EXPECT_EQ(json["images"], 25);
  EXPECT_EQ(json["failed"], 1);
  EXPECT_DOUBLE_EQ(json["top1"], 20.0);
  EXPECT_DOUBLE_EQ(json["top1_err"], 80.0);
  EXPECT_DOUBLE_EQ(json["top5"], 100.0);
  EXPECT_EQ(json["confusion"][1], json["confusion"][0]);
  EXPECT_EQ(Json::parse(slurp(path("r.json"))), json);
  EXPECT_EQ(decode_image(path("sheet.png")).width, 1600);

  const Outcome text = run({"validate", path("data"), "--model", model_});
  EXPECT_EQ(text.code, 1);
  const std::string last = text.out.substr(text.out.rfind('\n', text.out.size() - 2) + 1);
  EXPECT_EQ(last, " * Acc@1 20.000 (80.000) Acc@5 100.000 (0.000)\n");
}

void write_big_endian(std::ostream& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.put(static_cast<char>(value >> shift));
}

TEST_F(Images, ValidateReadsIdxFilesAndChecksTheClasses) {
  fs::create_directories(path("idx"));
  constexpr uint32_t kImages = 40;
  std::ofstream images(path("idx/t10k-images-idx3-ubyte"), std::ios::binary);
  for (uint32_t word : {0x803u, kImages, 28u, 28u}) write_big_endian(images, word);
  for (uint32_t i = 0; i < kImages * 28 * 28; ++i) images.put(static_cast<char>(i * i >> 7));
  images.close();
  std::ofstream labels(path("idx/t10k-labels-idx1-ubyte"), std::ios::binary);
  for (uint32_t word : {0x801u, kImages}) write_big_endian(labels, word);
  for (uint32_t i = 0; i < kImages; ++i) labels.put(static_cast<char>(i % 10));
  labels.close();

  const Outcome wrong = run({"validate", path("idx"), "--model", model_});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("in the data (10 classes): 0, 1"),
                               HasSubstr("model (5 classes): kind a")));

  const std::string gray = write_model(path("gray.safetensors"), 1, 10, 8, 28);
  const Outcome all = run({"validate", path("idx"), "--model", gray, "--json"});
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(all.json()["images"], kImages);
  EXPECT_THAT(all.err, HasSubstr("validate: 40/40 (100%)"));
  EXPECT_THAT(all.err, HasSubstr("named by numbers"));
  const Json some =
      run({"validate", path("idx"), "--model", gray, "--limit", "20", "-b", "3", "--json"}).json();
  EXPECT_EQ(some["images"], 20);
  // A class per image is confused or right; the rows of the matrix add up to the images.
  const Json confusion =
      run({"validate", path("idx"), "--model", gray, "--confusion", "--json"}).json()["confusion"];
  for (const Json& row : confusion) {
    int sum = 0;
    for (const Json& count : row) sum += count.get<int>();
    EXPECT_EQ(sum, 4);
  }
}

}  // namespace
}  // namespace asmlp::test::cli_images_test
