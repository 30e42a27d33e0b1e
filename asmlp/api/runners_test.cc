// Classifier and Backbone give the bits of the engine they are made of, however the inputs are cut.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "tests/support/model_files.h"
#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/topk.h"
#include "tests/support/support.h"

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
    return load_model(file);
  }

 private:
  test::TemporaryFolder folder_;
};

RunSettings settings(int threads, int max_batch, int image_size = 0) {
  RunSettings settings;
  settings.threads = threads;
  settings.max_batch = max_batch;
  settings.image_size = image_size;
  return settings;
}

// What the network sees of a file, by the image layer's own functions.
std::vector<float> network_input(const Model& model, const std::filesystem::path& file, int size) {
  Preprocessing preprocessing = model.spec().preprocessing;
  preprocessing.size = size;
  const int channels = model.config().in_chans;
  std::vector<float> input(static_cast<size_t>(channels) * size * size);
  normalize(resize_and_crop(decode_image(file), preprocessing, channels), preprocessing, input);
  return input;
}

TEST_F(Runners, ClassifierGivesTheEnginesProbabilities) {
  for (int in_chans : {1, 3}) {
    const auto model = filled(in_chans);
    for (int size : {32, 45}) {
      Classifier classifier(model, settings(2, 3, size == 32 ? 0 : size));
      Engine engine(model, {.height = size, .width = size, .threads = 1});
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
      model,
      {.height = kHeight, .width = kWidth, .max_batch = kBatch, .threads = 1, .features = true});
  engine.run(input, kBatch);
  for (int max_batch : {1, 2, 3, 7, 100}) {
    Classifier classifier(model, settings(max_batch % 2 + 1, max_batch));
    EXPECT_THAT(classifier.logits(tensor), testing::ElementsAreArray(engine.logits()));
    Backbone backbone(model, settings(max_batch % 2 + 1, max_batch));
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
      // What model_info announces: strides count pixels of the input, sizes are rounded up.
      const FeatureInfo announced = model_info(*model).features.at(static_cast<size_t>(k));
      EXPECT_EQ(map.name, announced.name);
      EXPECT_EQ(map.channels, announced.channels);
      EXPECT_EQ(map.stride, announced.stride);
      EXPECT_EQ(map.height, (kHeight + map.stride - 1) / map.stride);
      EXPECT_EQ(map.width, (kWidth + map.stride - 1) / map.stride);
    }
  }
}

TEST_F(Runners, RowsMayBeApart) {
  const DecodedImage image = read_image(data("photos/flower.jpg"));
  const ptrdiff_t row = 3 * ptrdiff_t{image.width}, apart = row + 13;
  std::vector<std::uint8_t> padded(static_cast<size_t>(apart * image.height), 99);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels.data() + y * row, row, padded.data() + y * apart);
  }
  Classifier classifier(filled(), settings(1, 1));
  EXPECT_EQ(classifier.logits({ImageView{padded.data(), image.height, image.width, 3, apart}}),
            classifier.logits({image.view()}));
}

TEST_F(Runners, OneModelServesManyThreads) {
  const auto model = filled();
  const auto expected = Classifier(model, settings(1, 1)).classify(data("photos/chelsea.png"), 1);
  std::vector<std::thread> callers;
  std::vector<float> probabilities(4);
  for (float& probability : probabilities) {
    callers.emplace_back([&] {
      Classifier classifier(model, settings(2, 1));
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
  const auto refused = [&](const RunSettings& run) {
    return error_of([&] { Classifier classifier(model, run); });
  };
  EXPECT_EQ(refused(settings(-1, 8)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(settings(257, 8)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(settings(1, 0)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(settings(1, 4097)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(settings(1, 8, -3)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Classifier classifier(nullptr); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] { Backbone backbone(nullptr); }), ErrorCode::kInvalidArgument);

  Classifier classifier(model, settings(1, 2));
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

  Classifier five_channels(filled(5), settings(1, 2));
  EXPECT_EQ(error_of([&] { five_channels.classify(good); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace asmlp::runners_test
