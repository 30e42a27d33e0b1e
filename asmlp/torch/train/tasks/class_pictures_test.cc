// What the pictures of a training show, and that they change nothing.
#include "asmlp/torch/train/tasks/class_pictures.h"

#include <map>
#include <random>
#include <set>

#include "asmlp/image/preprocess.h"
#include "asmlp/torch/train/pictures.h"
#include "asmlp/torch/train/run_log.h"
#include "tests/support/trainer_runs.h"

namespace asmlp::train::class_pictures_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Spread, TakesOneOfEachPart) {
  for (const int64_t total : {0, 1, 5, 16, 17, 1000, 50'000}) {
    for (const int64_t count : {0, 1, 4, 16, 64}) {
      const std::vector<int64_t> places = spread(total, count);
      const int64_t parts = std::min(total, count);
      ASSERT_EQ(std::ssize(places), parts);
      for (int64_t i = 0; i < parts; ++i) {
        EXPECT_GE(places[size_t(i)], i * total / parts);
        EXPECT_LT(places[size_t(i)], (i + 1) * total / parts);
      }
    }
  }
  // Of a data set whose classes take turns, not always the same one.
  std::set<int64_t> classes;
  for (const int64_t place : spread(10'000, 16)) classes.insert(place % 10);
  EXPECT_GE(classes.size(), 6u);
}

data::Batch random_batch(int channels, const Preprocessing& preprocessing,
                         std::vector<Image>& images) {
  std::mt19937 random(8);
  data::Batch batch;
  batch.images = torch::empty({3, channels, 20, 20});
  batch.targets = torch::tensor({2, 0, 1}, torch::kInt64);
  for (int i = 0; i < 3; ++i) {
    Image& image = images.emplace_back(20, 20, channels);
    for (uint8_t& value : image.pixels) value = uint8_t(random());
    const torch::Tensor slot = batch.images[i];
    normalize(image, preprocessing, {slot.data_ptr<float>(), size_t(slot.numel())});
  }
  return batch;
}

TEST(ClassSamples, ShowTheInputsPixelsExactlyAndTheLabels) {
  for (const int channels : {1, 3}) {
    Preprocessing preprocessing;
    preprocessing.mean.assign(size_t(channels), 0.41f);
    preprocessing.std.assign(size_t(channels), 0.23f);
    std::vector<Image> images;
    data::Batch batch = random_batch(channels, preprocessing, images);
    const std::vector<std::string> classes{"hat", "bag", "shoe"};
    const std::vector<Tile> tiles = class_samples(batch, 2, preprocessing, classes, 0.1);
    ASSERT_EQ(tiles.size(), 2u);
    EXPECT_EQ(tiles[0].lines[0].text, "shoe");
    EXPECT_EQ(tiles[1].lines[0].text, "hat");
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(tiles[i].panels[0].pixels, panel_of(to_rgb(images[i]), 144).pixels);
    }
    // Mixed ones: both labels with their shares, whatever the smoothing.
    batch.targets = data::mixed_targets(batch.targets, 0.7, 3, 0.1);
    const std::vector<Tile> mixed = class_samples(batch, 9, preprocessing, classes, 0.1);
    ASSERT_EQ(mixed.size(), 3u);
    ASSERT_EQ(mixed[0].lines.size(), 2u);
    EXPECT_EQ(mixed[0].lines[0].text + mixed[0].lines[0].tail, "shoe70 %");
    EXPECT_EQ(mixed[0].lines[1].text + mixed[0].lines[1].tail, "bag30 %");
    ASSERT_EQ(mixed[1].lines.size(), 1u);  // its own partner
    EXPECT_EQ(mixed[1].lines[0].text + mixed[1].lines[0].tail, "hat");
  }
}

TEST(ClassPictures, MarkMistakesAndCountConfusions) {
  const Preprocessing preprocessing;
  std::vector<Image> images;
  const data::Batch batch = random_batch(3, preprocessing, images);
  const auto world = dist::single_world();
  const auto draw = [&](const torch::Tensor& logits) {
    ClassPictures pictures(preprocessing, {"hat", "bag", "shoe"}, 3, 3, 16, *world);
    pictures.add(batch, logits);
    return pictures.draw(*world);
  };
  const auto red = [](const Image& image) {
    int count = 0;
    for (size_t i = 0; i < image.pixels.size(); i += 3) {
      count += Color{image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]} == kWrongColor;
    }
    return count;
  };
  const torch::Tensor right = torch::tensor({{0.f, 0.f, 5.f}, {5.f, 0.f, 0.f}, {0.f, 5.f, 0.f}});
  const std::vector<Picture> good = draw(right), bad = draw(right.flip(1));
  ASSERT_EQ(good.size(), 2u);
  EXPECT_EQ(good[0].name, "predictions");
  EXPECT_EQ(good[1].name, "confusion");
  EXPECT_EQ(red(good[0].image), 0);
  EXPECT_GT(red(bad[0].image), 2 * 4 * 3 * 140);  // two of three are wrong
  EXPECT_NE(good[1].image.pixels, bad[1].image.pixels);
  // A network that gives no numbers is drawn, too.
  EXPECT_EQ(draw(torch::full({3, 3}, NAN)).size(), 2u);
}

// Keeps the last picture of each name, and how often each came.
class Album : public Observer {
 public:
  void on_pictures(const std::vector<Picture>& pictures) override {
    for (const Picture& picture : pictures) {
      ++counts[picture.name];
      last[picture.name] = picture;
    }
  }
  std::map<std::string, int> counts;
  std::map<std::string, Picture> last;
};

using PicturesOfARun = TrainerTest;

TEST_F(PicturesOfARun, ChangeNoBitOfTheTraining) {
  TrainOptions options = small_options();
  options.classification.mixup.mixup = 0.8;
  options.classification.mixup.cutmix = 1;
  Album album;
  trainer("pictures", options).run(album);
  EXPECT_EQ(album.counts["samples"], 1);
  EXPECT_EQ(album.counts["predictions"], 3);
  EXPECT_EQ(album.counts["confusion"], 3);
  EXPECT_THAT(album.last["samples"].caption, HasSubstr("first 16 images"));
  EXPECT_THAT(album.last["predictions"].caption, HasSubstr("16 of 20 validation"));

  options.run.report_images = 0;
  Album empty;
  trainer("none", options).run(empty);
  EXPECT_TRUE(empty.counts.empty());
  for (const char* name : {"final.safetensors", "best.safetensors", "summary.csv"}) {
    std::string with = content("pictures", name), without = content("none", name);
    // The folders' first letters are part of the origin.
    for (std::string* text : {&with, &without}) {
      if (const size_t at = text->find("started in "); at != std::string::npos)
        (*text)[at + 11] = '?';
    }
    EXPECT_EQ(with, without) << name;
  }
}

TEST_F(PicturesOfARun, OfAShortStartShowWhatThereWas) {
  Album album;
  Trainer t = trainer("short");
  t.run(album, nullptr, 1);  // one batch of 8
  EXPECT_THAT(album.last["samples"].caption, HasSubstr("first 8 images"));
  EXPECT_EQ(album.last.size(), 1u);
}

TEST_F(PicturesOfARun, AreInItsFilesAndStayThereOnResume) {
  const fs::path folder = folder_.path() / "logged";
  const auto facts = [](bool resumed) {
    RunFacts f;
    f.run = {{"model", "small"}, {"data", "gray"}, {"epochs", 3}};
    f.start = {{"command", "asmlp train"}};
    f.resumed = resumed;
    return f;
  };
  {
    Trainer t = trainer("logged");
    RunLog log(folder, facts(false));
    t.run(log, nullptr, kStepsPerEpoch + 1);
    log.close("stopped", {});
  }
  const std::string page = read_file(folder / "report.html");
  EXPECT_THAT(page, HasSubstr("<b>Training samples</b>"));
  EXPECT_THAT(page, HasSubstr("<b>Confusion matrix</b>"));
  EXPECT_THAT(page, HasSubstr("src=\"data:image/png;base64,iVBORw0KGgo"));
  EXPECT_EQ(page.find("http"), page.find("http://www.w3.org"));  // nothing from elsewhere
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder / "images")) {
    files.insert(entry.path().filename().string());
  }
  EXPECT_THAT(files, ElementsAre("confusion.png", "predictions.png", "samples.png"));
  std::string events;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.")) events += read_file(entry.path());
  }
  for (const char* tag : {"samples/train", "predictions/validation", "confusion"}) {
    EXPECT_THAT(events, HasSubstr(tag));
  }
  // A start without pictures shows those of the one before.
  RunLog log(folder, facts(true));
  EXPECT_THAT(read_file(folder / "report.html"), HasSubstr("<b>Training samples</b>"));
  log.close("stopped", {});
}

}  // namespace
}  // namespace asmlp::train::class_pictures_test
