#include "asmlp/weights.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "tests/support/model_files.h"
#include "tests/support/support.h"

namespace asmlp::api_weights_test {
namespace {

using test::data;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<WeightView> views(const Weights& weights, const std::string& prefix = "") {
  std::vector<WeightView> result;
  for (const WeightTensor& t : weights.tensors) {
    result.push_back({prefix + t.name, t.shape, t.values.data()});
  }
  return result;
}

TEST(Weights, OfEveryTaskComeBackTheSame) {
  const test::TemporaryFolder folder;
  write_filled_model(folder.path() / "filled.safetensors");
  for (const auto& file :
       {folder.path() / "filled.safetensors", data("models/mask_rcnn_scenes.safetensors"),
        data("models/upernet_scenes.safetensors")}) {
    SCOPED_TRACE(file);
    const Weights weights = load_weights(file);
    EXPECT_THAT(weights.notes, IsEmpty());
    EXPECT_EQ(weights.description, load_model(file).model->info().description);
    const auto copy = folder.path() / "copy.safetensors";
    EXPECT_THAT(save_weights(copy, views(weights), {.config = weights.description}), IsEmpty());
    const Weights again = load_weights(copy);
    EXPECT_EQ(again.description, weights.description);
    ASSERT_EQ(again.tensors.size(), weights.tensors.size());
    for (size_t i = 0; i < weights.tensors.size(); ++i) {
      EXPECT_EQ(again.tensors[i].name, weights.tensors[i].name);
      EXPECT_EQ(again.tensors[i].shape, weights.tensors[i].shape);
      EXPECT_EQ(again.tensors[i].values, weights.tensors[i].values);
    }
  }
}

TEST(Weights, WithoutAConfigTheShapesSayIt) {
  const test::TemporaryFolder folder;
  const auto out = folder.path() / "m.safetensors";
  const Weights weights = load_weights(data("golden/checkpoints/official_zip.pth"));
  const auto notes = save_weights(out, views(weights, "module."), {.shift_h = 3, .shift_w = 7});
  EXPECT_THAT(notes, testing::Contains(HasSubstr("shift size")));
  EXPECT_THAT(load_model(out).model->info().description, HasSubstr("\"shift_size\":[3,7]"));
}

TEST(Weights, BadOnesAreRefusedAndNothingIsWritten) {
  const test::TemporaryFolder folder;
  const auto out = folder.path() / "m.safetensors";
  write_filled_model(folder.path() / "filled.safetensors");
  Weights weights = load_weights(folder.path() / "filled.safetensors");
  const WeightOptions options{.config = weights.description};
  auto tensors = views(weights);
  const auto error = [&](const std::filesystem::path& file = {}) {
    return test::error_of([&] { save_weights(file.empty() ? out : file, tensors, options); });
  };
  EXPECT_EQ(error("m.pth").code(), ErrorCode::kInvalidArgument);
  tensors.push_back(tensors.back());
  EXPECT_THAT(error().what(), HasSubstr("twice"));
  tensors.pop_back();
  tensors.back().values = nullptr;
  EXPECT_THAT(error().what(), HasSubstr("null pointer"));
  tensors.pop_back();
  EXPECT_EQ(error().code(), ErrorCode::kMismatch);
  tensors.push_back({"negative", {-1}, nullptr});
  EXPECT_EQ(error().code(), ErrorCode::kInvalidArgument);
  weights.tensors.front().values[0] = std::numeric_limits<float>::quiet_NaN();
  tensors = views(weights);
  EXPECT_EQ(error().code(), ErrorCode::kBadFormat);
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace asmlp::api_weights_test
