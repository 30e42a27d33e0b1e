#include "asmlp/torch/segment/ade_source.h"

#include <gtest/gtest.h>

#include "asmlp/model/segmentor_config.h"
#include "tests/support/ade_files.h"
#include "tests/support/support.h"

namespace asmlp::segment::ade_source_test {
namespace {

TEST(AdeTrainingSource, GivesBatchesOfCropsWithLabels) {
  const test::TemporaryFolder folder;
  write_ade(folder.path(), {{40, 60}, {50, 30}, {33, 47}, {20, 20}, {64, 40}}, 4, "training");
  const Ade20k data(folder.path(), Split::kTrain);
  DenseInput input = segmentor_input();
  input.short_side = 32;
  input.long_side = 128;
  TrainTransformOptions options;
  options.crop = 48;
  const AdeTrainingSource source(data, input, options);
  data::LoaderOptions loading;
  loading.batch_size = 2;
  loading.seed = 4;
  loading.order = data::Order::kGrouped;
  loading.remainder = data::Remainder::kRepeat;
  const data::Loader loader(source, loading);
  auto stream = loader.start(0);
  int64_t batches = 0, labeled = 0;
  while (const auto batch = stream.next()) {
    ++batches;
    EXPECT_EQ(batch->images.sizes(), (torch::IntArrayRef{2, 3, 48, 48}));
    EXPECT_EQ(batch->targets.sizes(), (torch::IntArrayRef{2, 48, 48}));
    EXPECT_EQ(batch->targets.scalar_type(), torch::kUInt8);
    labeled += (batch->targets < 4).sum().item<int64_t>();
    EXPECT_TRUE(((batch->targets < 4) | (batch->targets == 255)).all().item<bool>());
  }
  EXPECT_EQ(batches, 3);
  EXPECT_GT(labeled, 1000);
  // What is drawn is the generator's.
  data::Random a(7), b(7), c(8);
  const data::TensorSample one = source.get(0, a), two = source.get(0, b), other = source.get(0, c);
  EXPECT_TRUE(torch::equal(one.image, two.image) && torch::equal(one.target, two.target));
  EXPECT_FALSE(torch::equal(one.image, other.image));
}

// Also out of a batch that is padded to its largest image.
TEST(AdeTestSource, GivesTheImagesOfTheFiles) {
  const test::TemporaryFolder folder;
  write_ade(folder.path(), {{7, 9}, {5, 12}, {11, 3}}, 3);
  const Ade20k data(folder.path(), Split::kValidation);
  const AdeTestSource source(data);
  for (const int batch_size : {1, 3}) {
    data::LoaderOptions loading;
    loading.batch_size = batch_size;
    const data::Loader loader(source, loading);
    auto stream = loader.start(0);
    int64_t seen = 0;
    while (const auto batch = stream.next()) {
      for (size_t i = 0; i < batch->infos.size(); ++i, ++seen) {
        const LabeledImage expected = data.get(seen);
        const Image image = image_of(*batch, int64_t(i));
        EXPECT_EQ(image.height, expected.image.height);
        EXPECT_EQ(image.width, expected.image.width);
        EXPECT_EQ(image.pixels, expected.image.pixels);
        const torch::Tensor map = batch->infos[i].label_map;
        ASSERT_EQ(map.sizes(), (torch::IntArrayRef{expected.labels.height, expected.labels.width}));
        EXPECT_TRUE(std::equal(expected.labels.pixels.begin(), expected.labels.pixels.end(),
                               map.data_ptr<uint8_t>()));
      }
    }
    EXPECT_EQ(seen, 3);
  }
}

}  // namespace
}  // namespace asmlp::segment::ade_source_test
