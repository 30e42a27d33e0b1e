// Classifier and Backbone give the bits of the engine they are made of, however the inputs are cut.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/topk.h"
#include "tests/support/model_files.h"
#include "tests/support/support.h"

// Counts every allocation of the process.
// (GCC takes the pair below for a mismatch when it inlines one of the two.)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
static std::atomic<int64_t> allocations{0};
void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace asmlp::runners_test {
namespace {

using test::data;

constexpr const char* kPhotos[] = {"photos/chelsea.png", "photos/flower.jpg",
                                   "photos/grace_hopper.jpg", "images/jpeg_grey.jpg",
                                   "images/png_one_pixel.png"};

class Runners : public testing::Test {
 protected:
  std::shared_ptr<const Model> filled(int in_chans = 3, int classes = 5) {
    const auto file = folder_.path() / "m.safetensors";
    write_filled_model(file, in_chans, classes);
    return load_model(file).model;
  }

 private:
  test::TemporaryFolder folder_;
};

RunOptions options(int threads, int max_batch, int image_size = 0) {
  RunOptions options;
  options.threads = threads;
  options.max_batch = max_batch;
  options.image_size = image_size;
  return options;
}

// What the network sees of a file, by the image layer's own functions.
std::vector<float> network_input(const Model& model, const std::filesystem::path& file, int size) {
  Preprocessing preprocessing = model.packed()->spec().preprocessing;
  preprocessing.size = size;
  const int channels = model.info().in_channels;
  std::vector<float> input(static_cast<size_t>(channels) * size * size);
  normalize(resize_and_crop(decode_image(file), preprocessing, channels), preprocessing, input);
  return input;
}

TEST_F(Runners, ClassifierGivesTheEnginesProbabilities) {
  for (int in_chans : {1, 3}) {
    const auto model = filled(in_chans);
    for (int size : {32, 45}) {
      Classifier classifier(model, options(2, 3, size == 32 ? 0 : size));
      Engine engine(model->packed(), {.height = size, .width = size, .threads = 1});
      std::vector<DecodedImage> images;
      std::vector<ImageView> views;
      std::vector<std::vector<Prediction>> one_by_one;
      for (const char* photo : kPhotos) {
        engine.run(network_input(*model, data(photo), size), 1);
        const auto probabilities = softmax(engine.logits());
        const auto order = top_k(engine.logits(), 3);
        const auto found = one_by_one.emplace_back(classifier.classify(data(photo), 3));
        ASSERT_EQ(found.size(), 3u);
        for (size_t i = 0; i < 3; ++i) {
          EXPECT_EQ(found[i].index, order[i]);
          EXPECT_EQ(found[i].probability, probabilities[order[i]]);
          EXPECT_EQ(found[i].label, "class " + std::to_string(order[i]));
        }
        images.push_back(read_image(data(photo)));
      }
      for (const DecodedImage& image : images) views.push_back(image.view());
      const auto together = classifier.classify(views, 3);
      ASSERT_EQ(together.size(), one_by_one.size());
      for (size_t i = 0; i < together.size(); ++i) {
        for (size_t k = 0; k < 3; ++k) {
          EXPECT_EQ(together[i][k].index, one_by_one[i][k].index);
          EXPECT_EQ(together[i][k].probability, one_by_one[i][k].probability);
        }
      }
    }
  }
}

TEST_F(Runners, AnyCutOfABatchGivesTheSameBits) {
  const auto model = filled();
  constexpr int kBatch = 7, kHeight = 30, kWidth = 41;
  const auto input = to_f32(fill_tensor("input", {kBatch, 3, kHeight, kWidth}));
  const TensorView tensor{input.data(), kBatch, 3, kHeight, kWidth};
  Engine engine(
      model->packed(),
      {.height = kHeight, .width = kWidth, .max_batch = kBatch, .threads = 1, .features = true});
  engine.run(input, kBatch);
  for (int max_batch : {1, 2, 3, 7, 100}) {
    Classifier classifier(model, options(max_batch % 2 + 1, max_batch));
    EXPECT_THAT(classifier.logits(tensor), testing::ElementsAreArray(engine.logits()));
    Backbone backbone(model, options(max_batch % 2 + 1, max_batch));
    const Features features = backbone.features(tensor);
    EXPECT_EQ(features.batch, kBatch);
    EXPECT_THAT(features.embedding, testing::ElementsAreArray(engine.pooled()));
    ASSERT_EQ(features.maps.size(), static_cast<size_t>(engine.num_features()));
    for (int k = 0; k < engine.num_features(); ++k) {
      const FeatureMap& map = features.maps[static_cast<size_t>(k)];
      EXPECT_EQ((Shape{kBatch, map.channels, map.height, map.width}), engine.feature_shape(k));
      std::vector<float> expected(map.values.size());
      engine.copy_feature(k, expected);
      EXPECT_EQ(map.values, expected);
      // What info() announces: strides count pixels of the input, sizes are rounded up.
      const FeatureInfo announced = model->info().features.at(static_cast<size_t>(k));
      EXPECT_EQ(map.name, announced.name);
      EXPECT_EQ(map.channels, announced.channels);
      EXPECT_EQ(map.stride, announced.stride);
      EXPECT_EQ(map.height, (kHeight + map.stride - 1) / map.stride);
      EXPECT_EQ(map.width, (kWidth + map.stride - 1) / map.stride);
      const FeatureShape shape = model->feature_shape(k, kHeight, kWidth);
      EXPECT_EQ(map.channels, shape.channels);
      EXPECT_EQ(map.height, shape.height);
      EXPECT_EQ(map.width, shape.width);
    }
  }
}

// A list of outputs for all maps of `features`, and the memory behind them.
struct MapMemory {
  explicit MapMemory(const Features& features) {
    for (const FeatureMap& map : features.maps) {
      std::vector<float>& floats = memory.emplace_back(map.values.size());
      views.push_back({floats.data(), floats.size()});
    }
  }
  std::vector<std::vector<float>> memory;
  std::vector<OutputView> views;
};

TEST_F(Runners, ResultsGoIntoTheCallersMemory) {
  const auto model = filled();
  const auto input = to_f32(fill_tensor("input", {7, 3, 30, 41}));
  const TensorView tensor{input.data(), 7, 3, 30, 41};
  const DecodedImage image = read_image(data("photos/chelsea.png"));
  const std::vector<ImageView> images(3, image.view());
  Classifier classifier(model, options(2, 3));
  Backbone backbone(model, options(2, 3));
  const auto check = [&](const auto& inputs) {
    const std::vector<float> expected = classifier.logits(inputs);
    std::vector<float> logits(expected.size());
    classifier.logits(inputs, {logits.data(), logits.size()});
    EXPECT_EQ(logits, expected);

    const Features features = backbone.features(inputs);
    MapMemory maps(features);
    std::vector<float> embedding(features.embedding.size());
    backbone.features(inputs, maps.views, {embedding.data(), embedding.size()});
    EXPECT_EQ(embedding, features.embedding);
    for (size_t k = 0; k < features.maps.size(); ++k) {
      EXPECT_EQ(maps.memory[k], features.maps[k].values) << k;
    }
    // Parts of it.
    MapMemory one(features);
    one.views[0] = {};
    one.views.resize(2);
    backbone.features(inputs, one.views);
    EXPECT_EQ(one.memory[1], features.maps[1].values);
    EXPECT_THAT(one.memory[0], testing::Each(0.0f));
    std::fill(embedding.begin(), embedding.end(), 0.0f);
    backbone.features(inputs, {}, {embedding.data(), embedding.size()});
    EXPECT_EQ(embedding, features.embedding);
  };
  check(tensor);
  check(images);
  classifier.logits(std::vector<ImageView>{}, {});
  backbone.features(std::vector<ImageView>{}, {});
}

TEST_F(Runners, MemoryOfAnotherSizeIsRefused) {
  Classifier classifier(filled(), options(1, 2));
  Backbone backbone(filled(), options(1, 2));
  const std::vector<float> zeros(2 * 3 * 25);
  const TensorView tensor{zeros.data(), 2, 3, 5, 5};
  const Features features = backbone.features(tensor);
  std::vector<float> floats(100, 7.0f);
  const auto refused = [&](const auto& call, ErrorCode code, const std::string& part) {
    try {
      call();
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.what(), testing::HasSubstr(part));
    }
  };
  refused(
      [&] {
        classifier.logits(tensor, {floats.data(), 9});
      },
      ErrorCode::kMismatch, "room for 9 floats, exactly 10 are needed");
  refused([&] { classifier.logits(tensor, {}); }, ErrorCode::kMismatch, "room for 0");
  refused([&] { classifier.logits(tensor, {nullptr, 10}); }, ErrorCode::kInvalidArgument, "null");
  refused(
      [&] {
        classifier.logits({zeros.data(), -1, 3, 5, 5}, {floats.data(), 10});
      },
      ErrorCode::kInvalidArgument, "-1 images");
  refused(
      [&] {
        backbone.features(tensor, {}, {floats.data(), 49});
      },
      ErrorCode::kMismatch, "embedding has room for 49 floats, exactly 48");
  MapMemory maps(features);
  ++maps.views[1].size;
  refused([&] { backbone.features(tensor, maps.views); }, ErrorCode::kMismatch, "layers.0");
  maps.views.assign(4, {});
  refused([&] { backbone.features(tensor, maps.views); }, ErrorCode::kMismatch, "4 outputs");
  EXPECT_THAT(floats, testing::Each(7.0f));
}

TEST_F(Runners, TensorsOfTheSameSizeAllocateNothing) {
  const auto model = filled();
  const auto input = to_f32(fill_tensor("input", {7, 3, 30, 41}));
  const TensorView tensor{input.data(), 7, 3, 30, 41};
  Classifier classifier(model, options(2, 3));
  Backbone backbone(model, options(2, 3));
  std::vector<float> logits(7 * 5), embedding(7 * 24);
  MapMemory maps(backbone.features(tensor));
  const auto run = [&] {
    classifier.logits(tensor, {logits.data(), logits.size()});
    backbone.features(tensor, maps.views, {embedding.data(), embedding.size()});
  };
  run();
  const int64_t before = allocations;
  run();
  EXPECT_EQ(allocations - before, 0);
}

TEST_F(Runners, AFileIsAModelToo) {
  const auto file = data("golden/checkpoints/official_zip.pth");
  const auto model = load_model(file).model;
  const auto photo = data("photos/chelsea.png");
  EXPECT_EQ(Classifier(file).classify(photo, 1)[0].probability,
            Classifier(model).classify(photo, 1)[0].probability);
  EXPECT_EQ(Backbone(file, options(1, 1, 32)).features(photo).embedding,
            Backbone(model, options(1, 1, 32)).features(photo).embedding);
  EXPECT_EQ(error_of([] { Classifier none("/nowhere.pth"); }), ErrorCode::kNotFound);
}

TEST_F(Runners, RowsMayBeApart) {
  const DecodedImage image = read_image(data("photos/flower.jpg"));
  const ptrdiff_t row = 3 * ptrdiff_t{image.width}, apart = row + 13;
  std::vector<std::uint8_t> padded(static_cast<size_t>(apart * image.height), 99);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels.data() + y * row, row, padded.data() + y * apart);
  }
  Classifier classifier(filled(), options(1, 1));
  EXPECT_EQ(classifier.logits({ImageView{padded.data(), image.height, image.width, 3, apart}}),
            classifier.logits({image.view()}));
}

TEST_F(Runners, OneModelServesManyThreads) {
  const auto model = filled();
  const auto expected = Classifier(model, options(1, 1)).classify(data("photos/chelsea.png"), 1);
  std::vector<std::thread> callers;
  std::vector<float> probabilities(4);
  for (float& probability : probabilities) {
    callers.emplace_back([&] {
      Classifier classifier(model, options(2, 1));
      probability = classifier.classify(data("photos/chelsea.png"), 1)[0].probability;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(probabilities, testing::Each(expected[0].probability));
}

TEST_F(Runners, AModelWithoutHeadIsABackbone) {
  const auto model = filled(3, 0);
  EXPECT_EQ(error_of([&] { Classifier classifier(model); }), ErrorCode::kUnsupported);
  const Features features = Backbone(model).features(data("photos/chelsea.png"));
  EXPECT_EQ(features.maps.size(), 3u);
  EXPECT_EQ(features.embedding.size(), 24u);
}

TEST_F(Runners, RefusesWhatIsNoInputAndGoesOn) {
  const auto model = filled();
  const auto refused = [&](const RunOptions& run) {
    return error_of([&] { Classifier classifier(model, run); });
  };
  EXPECT_EQ(refused(options(-1, 8)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(options(257, 8)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(options(1, 0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(options(1, 4097)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(options(1, 8, -3)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Classifier classifier(nullptr); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Backbone backbone(nullptr); }), ErrorCode::kInvalidArgument);

  Classifier classifier(model, options(1, 2));
  const std::vector<std::uint8_t> gray(25, 7);
  const std::vector<float> floats(3 * 25);
  const ImageView good{gray.data(), 5, 5, 1};
  for (const ImageView& bad : {ImageView{nullptr, 5, 5, 1}, ImageView{gray.data(), 0, 5, 1},
                               ImageView{gray.data(), 5, -5, 1}, ImageView{gray.data(), 1, 5, 4},
                               ImageView{gray.data(), 5, 5, 1, 4}}) {
    try {
      classifier.classify({good, good, bad});
      ADD_FAILURE() << "accepted an image that is none";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), testing::HasSubstr("image 2 "));
    }
  }
  const auto code_of = [&](const TensorView& tensor) {
    return error_of([&] { classifier.classify(tensor); });
  };
  EXPECT_EQ(code_of({nullptr, 1, 3, 5, 5}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({floats.data(), 0, 3, 5, 5}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({floats.data(), 1, 1, 5, 5}), ErrorCode::kMismatch);
  EXPECT_EQ(code_of({floats.data(), 1, 3, 0, 5}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({floats.data(), 1, 3, 5, 16385}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { classifier.classify(good, 0); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { classifier.classify("/nowhere.jpg"); }), ErrorCode::kNotFound);

  EXPECT_EQ(classifier.classify(good, 1000).size(), 5u);
  EXPECT_TRUE(classifier.classify(std::vector<ImageView>{}).empty());
  EXPECT_EQ(classifier.classify(TensorView{floats.data(), 1, 3, 5, 5}).size(), 1u);

  Classifier five_channels(filled(5), options(1, 2));
  EXPECT_EQ(error_of([&] { five_channels.classify(good); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace asmlp::runners_test
