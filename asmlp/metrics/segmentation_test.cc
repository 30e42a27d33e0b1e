#include "asmlp/metrics/segmentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "asmlp/core/error.h"

namespace asmlp::segmentation_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Labels = std::vector<uint8_t>;

// Few labels, so that classes which occur nowhere are common too.
Labels random_labels(std::mt19937& random, size_t size, int classes, bool ignored) {
  const int used = 1 + static_cast<int>(random() % classes);
  Labels labels(size);
  for (uint8_t& label : labels) {
    label = static_cast<uint8_t>(ignored && random() % 5 == 0 ? 255 : random() % used);
  }
  return labels;
}

// The definition, by sets of pixels of the whole data set.
struct ByDefinition {
  std::vector<double> iou, accuracy;
  double mean_iou = 0, mean_accuracy = 0, pixel_accuracy = 0;

  ByDefinition(const Labels& predicted, const Labels& target, int classes) {
    size_t right = 0, counted = 0;
    for (size_t i = 0; i < target.size(); ++i) {
      right += target[i] != 255 && predicted[i] == target[i];
      counted += target[i] != 255;
    }
    pixel_accuracy = counted > 0 ? 100.0 * double(right) / double(counted) : NAN;
    int ious = 0, accuracies = 0;
    for (int label = 0; label < classes; ++label) {
      std::set<size_t> said, is, both, either;
      for (size_t i = 0; i < target.size(); ++i) {
        if (target[i] == 255) continue;
        if (predicted[i] == label) said.insert(i);
        if (target[i] == label) is.insert(i);
        if (predicted[i] == label && target[i] == label) both.insert(i);
      }
      either = said;
      either.insert(is.begin(), is.end());
      iou.push_back(either.empty() ? NAN : 100.0 * double(both.size()) / double(either.size()));
      accuracy.push_back(is.empty() ? NAN : 100.0 * double(both.size()) / double(is.size()));
      if (!either.empty()) mean_iou += iou.back(), ++ious;
      if (!is.empty()) mean_accuracy += accuracy.back(), ++accuracies;
    }
    mean_iou /= ious;  // NaN of nothing
    mean_accuracy /= accuracies;
  }
};

void expect_equal(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i])) {
      EXPECT_TRUE(std::isnan(a[i])) << "class " << i;
    } else {
      EXPECT_DOUBLE_EQ(a[i], b[i]) << "class " << i;
    }
  }
}

TEST(SegmentationMeter, EqualsTheDefinitionInOnePartOrInMany) {
  std::mt19937 random(7);
  for (const int classes : {1, 2, 3, 10, 150, 255}) {
    for (const size_t pixels : {size_t{0}, size_t{1}, size_t{5}, size_t{40}, size_t{300}}) {
      for (int trial = 0; trial < 5; ++trial) {
        SCOPED_TRACE(testing::Message() << classes << " classes, " << pixels << " pixels");
        SegmentationMeter whole(classes), parts[3] = {whole, whole, whole}, merged(classes);
        Labels all_predicted, all_target;
        for (int map = 0; map < 4; ++map) {
          const Labels target = random_labels(random, pixels, classes, true);
          const Labels predicted = random_labels(random, pixels, classes, false);
          whole.add(predicted, target);
          parts[random() % 3].add(predicted, target);
          all_predicted.insert(all_predicted.end(), predicted.begin(), predicted.end());
          all_target.insert(all_target.end(), target.begin(), target.end());
        }
        // As processes do it: by sums.
        for (const SegmentationMeter& part : parts) {
          merged.merge(SegmentationMeter::from_sums(part.sums()));
        }
        const ByDefinition right(all_predicted, all_target, classes);
        for (const SegmentationMeter& meter : {whole, merged}) {
          expect_equal(meter.iou(), right.iou);
          expect_equal(meter.accuracy(), right.accuracy);
          // The order of summation is the same.
          expect_equal({meter.mean_iou(), meter.mean_accuracy(), meter.pixel_accuracy()},
                       {right.mean_iou, right.mean_accuracy, right.pixel_accuracy});
        }
        whole.reset();
        EXPECT_EQ(whole.pixels(), 0);
        // Of nothing, no score is defined.
        for (const double score :
             {whole.mean_iou(), whole.mean_accuracy(), whole.pixel_accuracy()}) {
          EXPECT_TRUE(std::isnan(score));
        }
      }
    }
  }
}

// Worked by hand: 6 pixels, one ignored, of classes 0..3; class 3 occurs nowhere, and class 2 only
// in the prediction: its IoU is 0, its accuracy NaN.
TEST(SegmentationMeter, AHandWorkedCase) {
  SegmentationMeter meter(4);
  meter.add(Labels{0, 0, 1, 2, 1, 3}, Labels{0, 0, 0, 1, 1, 255});
  EXPECT_EQ(meter.pixels(), 5);
  const std::vector<double> iou = meter.iou(), accuracy = meter.accuracy();
  EXPECT_DOUBLE_EQ(iou[0], 100.0 * 2 / 3);
  EXPECT_DOUBLE_EQ(iou[1], 100.0 / 3);
  EXPECT_EQ(iou[2], 0.0);
  EXPECT_TRUE(std::isnan(iou[3]));
  EXPECT_DOUBLE_EQ(accuracy[0], 100.0 * 2 / 3);
  EXPECT_EQ(accuracy[1], 50.0);
  EXPECT_TRUE(std::isnan(accuracy[2]));
  EXPECT_TRUE(std::isnan(accuracy[3]));
  EXPECT_DOUBLE_EQ(meter.mean_iou(), 100.0 / 3);
  EXPECT_DOUBLE_EQ(meter.mean_accuracy(), (100.0 * 2 / 3 + 50) / 2);
  EXPECT_DOUBLE_EQ(meter.pixel_accuracy(), 60.0);
  EXPECT_THAT(meter.sums(), ElementsAre(2, 2, 3, 1, 2, 2, 0, 1, 0, 0, 0, 0));
}

TEST(SegmentationMeter, RefusesWhatIsNoClassAndStaysAsItWas) {
  SegmentationMeter meter(3);
  meter.add(Labels{0, 2}, Labels{0, 1});
  const std::vector<double> before = meter.sums();
  const auto message_of = [&](const Labels& predicted, const Labels& target) -> std::string {
    try {
      meter.add(predicted, target);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message_of({0, 1}, {0}), HasSubstr("2 predicted labels for 1 pixels"));
  EXPECT_THAT(message_of({0, 3}, {0, 1}), HasSubstr("predicted label 3"));
  EXPECT_THAT(message_of({0, 255}, {0, 1}), HasSubstr("predicted label 255"));
  EXPECT_THAT(message_of({0, 1}, {0, 3}), HasSubstr("true label 3"));
  EXPECT_THAT(message_of({0, 1}, {0, 254}), HasSubstr("true label 254"));
  EXPECT_EQ(meter.sums(), before);
  // What a prediction says at an ignored pixel does not matter.
  EXPECT_EQ(message_of({77, 255}, {255, 255}), "no error");
  EXPECT_EQ(meter.sums(), before);
  EXPECT_THROW(meter.merge(SegmentationMeter(4)), Error);
  EXPECT_THROW(SegmentationMeter(0), Error);
  EXPECT_THROW(SegmentationMeter(256), Error);
  EXPECT_THROW(SegmentationMeter::from_sums(std::vector<double>(4)), Error);
  EXPECT_THROW(SegmentationMeter::from_sums(std::vector<double>{}), Error);
  EXPECT_THROW(SegmentationMeter::from_sums(std::vector<double>(3 * 256)), Error);
}

}  // namespace
}  // namespace asmlp::segmentation_test
