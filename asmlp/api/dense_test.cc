// Models of every task, and a Detector, which gives what the engine gives that it is made of,
// however images come.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "asmlp/detection/tiles.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/mask_rle.h"
#include "tests/support/model_files.h"
#include "tests/support/support.h"

namespace asmlp::dense_test {
namespace {

using test::data;

std::shared_ptr<const Model> detector_model() { return trained_model("mask_rcnn_scenes"); }
std::shared_ptr<const Model> segmentor_model() { return trained_model("upernet_scenes"); }

void expect_same(const std::vector<Detection>& found,
                 const std::vector<detect::Detection>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ((std::array{found[i].x1, found[i].y1, found[i].x2, found[i].y2}), expected[i].box);
    EXPECT_EQ(found[i].score, expected[i].score);
    EXPECT_EQ(found[i].label, expected[i].label);
    EXPECT_EQ(found[i].name, detector_model()->info().classes[size_t(expected[i].label)]);
    EXPECT_EQ(found[i].mask.height, expected[i].mask.height);
    EXPECT_EQ(found[i].mask.counts, expected[i].mask.counts);
  }
}

void expect_same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::tie(a[i].x1, a[i].y1, a[i].x2, a[i].y2, a[i].score, a[i].label),
              std::tie(b[i].x1, b[i].y1, b[i].x2, b[i].y2, b[i].score, b[i].label));
    EXPECT_EQ(a[i].mask.counts, b[i].mask.counts);
  }
}

DetectOptions with_threads(int threads, int max_batch = 1) {
  DetectOptions options;
  options.threads = threads;
  options.max_batch = max_batch;
  return options;
}

TEST(LoadDense, InfoSaysWhatTheFileSays) {
  const ModelInfo& info = detector_model()->info();
  EXPECT_EQ(info.task, Task::kDetect);
  EXPECT_FALSE(info.is_classifier);
  EXPECT_EQ(info.num_classes, 10);
  EXPECT_THAT(info.classes, testing::Contains("Trouser"));
  const DetectorSpec& spec = detector_model()->detector()->spec();
  EXPECT_EQ(info.short_side, spec.preprocessing.short_side);
  EXPECT_EQ(info.long_side, spec.preprocessing.long_side);
  EXPECT_EQ(detector_from_json(info.description, "description"), spec);
  EXPECT_GT(info.parameters, 100000);
  EXPECT_GT(info.multiply_adds, info.parameters);
  EXPECT_EQ(segmentor_model()->info().task, Task::kSegment);
  EXPECT_EQ(segmentor_model()->detector(), nullptr);
  EXPECT_EQ(segmentor_from_json(segmentor_model()->info().description, "description"),
            segmentor_model()->segmentor()->spec());
}

TEST(LoadDense, EveryModelHasABackbone) {
  for (const std::string name : {"mask_rcnn_scenes", "upernet_scenes"}) {
    const auto model = trained_model(name);
    const auto file = data("models") / (name + ".safetensors");
    CheckpointOptions load;
    load.backbone_of_any_task = true;
    const Checkpoint checkpoint = load_checkpoint(file, load);
    const auto packed = PackedModel::create(checkpoint.spec, checkpoint.tensors);
    const Model alone(packed);
    EXPECT_EQ(model->info().embedding_size, alone.info().embedding_size);
    EXPECT_EQ(model->info().image_size, alone.info().image_size);
    const auto photo = data("photos/chelsea.png");
    Backbone backbone(model);
    const Features features = backbone.features(photo);
    EXPECT_EQ(features.embedding,
              Backbone(std::make_shared<Model>(packed)).features(photo).embedding);
    EXPECT_EQ(features.maps.size(), model->info().features.size());
    EXPECT_EQ(model->packed(), model->packed());  // packed once
    EXPECT_EQ(error_of([&] { Classifier classifier(model); }), ErrorCode::kUnsupported);
  }
}

TEST(LoadDense, AnotherTaskIsRefusedByName) {
  const auto classifier = load_model(test::source_folder() /
                                     "models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors")
                              .model;
  const auto message = [](const auto& call) {
    return test::error_of(ErrorCode::kUnsupported, call);
  };
  EXPECT_THAT(message([&] { Detector d(classifier); }), testing::HasSubstr("a classifier"));
  EXPECT_THAT(message([&] { Detector d(segmentor_model()); }), testing::HasSubstr("use Segmentor"));
  EXPECT_THAT(message([&] { Segmentor s(classifier); }), testing::HasSubstr("a classifier"));
  EXPECT_THAT(message([&] { Segmentor s(detector_model()); }), testing::HasSubstr("use Detector"));
  EXPECT_EQ(error_of([] { Detector d(nullptr); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Segmentor s(nullptr); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Detector d("/nowhere"); }), ErrorCode::kNotFound);
}

TEST(Detector, GivesTheEnginesDetections) {
  DetectorEngine engine(detector_model()->detector(), {.threads = 1});
  Detector one(detector_model(), with_threads(1)), three(detector_model(), with_threads(2, 3));
  std::vector<DecodedImage> images;
  std::vector<std::vector<detect::Detection>> expected;
  std::vector<std::filesystem::path> files = scene_files();
  files.push_back(data("photos/chelsea.png"));
  files.push_back(data("images/png_one_pixel.png"));
  size_t objects = 0;
  for (const auto& file : files) {
    expected.push_back(engine.detect(to_rgb(decode_image(file))));
    expect_same(one.detect(file), expected.back());
    images.push_back(read_image(file));
    expect_same(one.detect(images.back().view()), expected.back());
    objects += expected.back().size();
  }
  EXPECT_GT(objects, 5u);
  std::vector<ImageView> views;
  for (const DecodedImage& image : images) views.push_back(image.view());
  const auto together = three.detect(views);
  ASSERT_EQ(together.size(), expected.size());
  for (size_t i = 0; i < together.size(); ++i) expect_same(together[i], expected[i]);
  EXPECT_TRUE(three.detect(std::vector<ImageView>{}).empty());
}

TEST(Detector, TakesBgrRowsApartAndGray) {
  const DecodedImage image = read_image(scene_files().front());
  const ptrdiff_t apart = 3 * ptrdiff_t{image.width} + 5;
  std::vector<std::uint8_t> bgr(size_t(apart * image.height), 99);
  std::vector<std::uint8_t> gray, repeated;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::uint8_t* pixel = image.pixels.data() + 3 * (y * image.width + x);
      for (int c = 0; c < 3; ++c) bgr[size_t(y * apart + 3 * x + c)] = pixel[2 - c];
      gray.push_back(pixel[1]);
      repeated.insert(repeated.end(), 3, pixel[1]);
    }
  }
  Detector detector(detector_model(), with_threads(1));
  ASSERT_FALSE(detector.detect(image.view()).empty());
  expect_same(detector.detect(
                  ImageView{bgr.data(), image.height, image.width, 3, apart, ChannelOrder::kBgr}),
              detector.detect(image.view()));
  expect_same(detector.detect(ImageView{gray.data(), image.height, image.width, 1}),
              detector.detect(ImageView{repeated.data(), image.height, image.width}));
}

TEST(Detector, TakesTensors) {
  const PackedDetector& packed = *detector_model()->detector();
  const DenseInput& input = packed.spec().preprocessing;
  const Image image = to_rgb(decode_image(scene_files().front()));
  const CvSize padded = padded_size({image.height, image.width}, input);
  const size_t length = size_t(3) * size_t(padded.height) * size_t(padded.width);
  std::vector<float> values(2 * length);
  normalize_into(image, input, padded.height, padded.width, std::span(values).first(length));
  std::ranges::copy(std::span(values).first(length), values.begin() + ptrdiff_t(length));
  DetectorEngine engine(detector_model()->detector(), {.threads = 1});
  const detect::ImageSize size{padded.height, padded.width};
  const detect::InputSizes sizes[]{{size, size}};
  const auto expected =
      engine.run(std::span(values).first(length), padded.height, padded.width, sizes).front();
  for (const int max_batch : {1, 2, 5}) {
    Detector detector(detector_model(), with_threads(2, max_batch));
    const auto found =
        detector.detect(TensorView{values.data(), 2, 3, padded.height, padded.width});
    ASSERT_EQ(found.size(), 2u);
    expect_same(found[0], expected);
    expect_same(found[1], expected);
  }
  Detector detector(detector_model());
  EXPECT_EQ(error_of([&] {
              detector.detect(TensorView{values.data(), 1, 1, 32, 32});
            }),
            ErrorCode::kMismatch);
  EXPECT_EQ(error_of([&] {
              detector.detect(TensorView{nullptr, 1, 3, 32, 32});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(Detector, OptionsChangeWhatIsFound) {
  const auto file = scene_files().front();
  const std::vector<Detection> usual = Detector(detector_model()).detect(file);
  DetectOptions options;
  options.masks = false;
  std::vector<Detection> found = Detector(detector_model(), options).detect(file);
  ASSERT_EQ(found.size(), usual.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(found[i].mask.empty());
    EXPECT_EQ(found[i].score, usual[i].score);
    EXPECT_EQ(found[i].x1, usual[i].x1);
  }
  options.max_detections = 1;
  found = Detector(detector_model(), options).detect(file);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].score, usual[0].score);
  options.max_detections = 0;
  options.score_threshold = usual[0].score;  // above it
  EXPECT_TRUE(Detector(detector_model(), options).detect(file).empty());
  options.score_threshold = 1e-3f;
  EXPECT_GT(Detector(detector_model(), options).detect(file).size(), usual.size());
  options = {};
  options.short_side = options.long_side = 96;
  DetectorEngine engine(detector_model()->detector());
  DenseInput input = detector_model()->detector()->spec().preprocessing;
  input.short_side = input.long_side = 96;
  const Image image = to_rgb(decode_image(file));
  expect_same(Detector(detector_model(), options).detect(file),
              engine.detect({&image, 1}, input).front());
}

TEST(Detector, CutsLargeImagesIntoTiles) {
  const Image image = to_rgb(decode_image(data("photos/astronaut.png")));
  DetectOptions options = with_threads(2);
  options.tile = 200;
  options.tile_overlap = 60;
  options.tile_whole = true;
  options.max_detections = 40;
  options.score_threshold = 0.02f;
  TestConfig test = detector_model()->detector()->config().test;
  test.max_detections = 40;
  test.score_threshold = 0.02f;
  DetectorEngine engine(detector_model()->detector(), {.threads = 1, .test = test});
  const auto expected = detect::detect_tiled(
      {image.height, image.width}, {.size = 200, .overlap = 60, .whole = true}, 40, 1,
      [&](std::span<const detect::Tile> tiles) {
        const detect::Tile& tile = tiles.front();
        Image part(tile.height, tile.width, 3);
        for (int y = 0; y < tile.height; ++y) {
          std::copy_n(image.row(tile.top + y) + 3 * tile.left, 3 * tile.width, part.row(y));
        }
        return std::vector<std::vector<detect::Detection>>{engine.detect(part)};
      });
  EXPECT_FALSE(expected.empty());
  Detector detector(detector_model(), options);
  expect_same(detector.detect(data("photos/astronaut.png")), expected);
  const ImageView view{image.pixels.data(), image.height, image.width};
  options.max_batch = 3;
  const auto both = Detector(detector_model(), options).detect({view, view});
  ASSERT_EQ(both.size(), 2u);
  expect_same(both[0], expected);
  expect_same(both[1], expected);
}

TEST(Detector, RefusesWhatIsOutOfRange) {
  const auto refused = [](const auto& change) {
    DetectOptions options;
    change(options);
    return error_of([&] { Detector detector(detector_model(), options); });
  };
  const auto kInvalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(refused([](auto& o) { o.threads = -1; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.max_batch = 0; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.short_side = -1; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.long_side = 16385; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.score_threshold = 1; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.score_threshold = NAN; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.max_detections = -1; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.tile = 31; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.tile = 100, o.tile_overlap = 51; }), kInvalid);
  EXPECT_EQ(refused([](auto& o) { o.tile_overlap = 1; }), kInvalid);
  Detector detector(detector_model());
  const std::uint8_t pixel[3]{};
  for (const ImageView& bad :
       {ImageView{nullptr, 5, 5}, ImageView{pixel, 0, 1}, ImageView{pixel, 1, 1, 2},
        ImageView{pixel, 1, 1, 3, 2}, ImageView{pixel, 1, 1, 3, 0, static_cast<ChannelOrder>(2)}}) {
    EXPECT_EQ(error_of([&] { detector.detect({ImageView{pixel, 1, 1}, bad}); }), kInvalid);
  }
  EXPECT_EQ(error_of([&] { detector.detect("/nowhere.jpg"); }), ErrorCode::kNotFound);
  EXPECT_NO_THROW(detector.detect(ImageView{pixel, 1, 1}));  // and goes on
}

TEST(Detector, MasksAreBitmapsOnRequest) {
  const std::vector<Detection> found = Detector(detector_model()).detect(scene_files().front());
  ASSERT_FALSE(found.empty());
  for (const Detection& d : found) {
    const MaskRle runs{d.mask.height, d.mask.width, d.mask.counts};
    const std::vector<std::uint8_t> bitmap = mask_bitmap(d.mask);
    EXPECT_EQ(bitmap, decode_mask(runs));
    EXPECT_EQ(mask_area(d.mask), std::accumulate(bitmap.begin(), bitmap.end(), int64_t{0}));
    EXPECT_EQ(mask_from_string(mask_text(d.mask), d.mask.height, d.mask.width), runs);
    const ptrdiff_t apart = d.mask.width + 3;
    std::vector<std::uint8_t> pixels(size_t(apart * d.mask.height), 7);
    mask_bitmap(d.mask, pixels.data(), apart, 255);
    for (int y = 0; y < d.mask.height; ++y) {
      for (int x = 0; x < apart; ++x) {
        const int expected = x < d.mask.width ? 255 * bitmap[size_t(y * d.mask.width + x)] : 7;
        ASSERT_EQ(pixels[size_t(y * apart + x)], expected);
      }
    }
  }
  EXPECT_TRUE(mask_bitmap(Mask{}).empty());
  std::uint8_t pixels[4];
  EXPECT_EQ(error_of([&] { mask_bitmap({2, 2, {1, 1}}, pixels); }), ErrorCode::kBadFormat);
  EXPECT_EQ(error_of([&] { mask_bitmap({2, 2, {1, 3}}, nullptr); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { mask_bitmap({2, 2, {1, 3}}, pixels, 1); }), ErrorCode::kInvalidArgument);
}

TEST(Detector, OneModelServesManyThreads) {
  const auto file = scene_files().front();
  const std::vector<Detection> expected = Detector(detector_model()).detect(file);
  std::vector<std::vector<Detection>> found(3);
  std::vector<std::thread> callers;
  for (auto& own : found) {
    callers.emplace_back([&] {
      Detector detector(detector_model(), with_threads(2));
      own = detector.detect(file);
      own = detector.detect(file);
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const auto& own : found) expect_same(own, expected);
}

// What the child of a fork finds: 0 when all is as promised.
template <typename Call>
int in_child(const Call& call) {
  const pid_t child = fork();
  if (child == 0) _exit(call() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(DenseObjects, OfTheParentRefuseToRunInAChild) {
  const DecodedImage image = read_image(scene_files().front());
  auto detector = std::make_unique<Detector>(detector_model(), with_threads(2));
  auto segmentor = std::make_unique<Segmentor>(segmentor_model());
  detector->detect(image.view());
  segmentor->segment(image.view());
  EXPECT_EQ(in_child([&] {
              const bool refused =
                  error_of([&] { detector->detect(image.view()); }) == ErrorCode::kUnsupported &&
                  error_of([&] { segmentor->segment(image.view()); }) == ErrorCode::kUnsupported;
              detector.reset(), segmentor.reset();
              return refused && !Detector(detector_model()).detect(image.view()).empty();
            }),
            0);
  Detector moved = std::move(*detector);
  EXPECT_FALSE(moved.detect(image.view()).empty());
}

}  // namespace
}  // namespace asmlp::dense_test
