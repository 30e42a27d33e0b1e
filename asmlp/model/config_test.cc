#include "asmlp/model/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::config_test {
namespace {

// torch.chunk as documented: pieces of ceil(n / chunks) elements, the last one shorter, perhaps
// fewer pieces. Group g moves by (g - chunks / 2) * dilation.
std::vector<int> shifts_by_chunks(int channels, int positions, int dilation) {
  std::vector<int> shifts;
  const int piece = (channels + positions - 1) / positions;
  for (int group = 0; static_cast<int>(shifts.size()) < channels; ++group) {
    const int left = channels - static_cast<int>(shifts.size());
    shifts.insert(shifts.end(), std::min(piece, left), (group - positions / 2) * dilation);
  }
  return shifts;
}

TEST(ShiftOfChannel, FollowsTorchChunk) {
  for (int channels = 1; channels <= 70; ++channels) {
    for (int positions = 1; positions <= 11; ++positions) {
      for (int dilation : {1, 2, 3}) {
        const std::vector<int> expected = shifts_by_chunks(channels, positions, dilation);
        for (int c = 0; c < channels; ++c) {
          ASSERT_EQ(shift_of_channel(c, channels, positions, dilation), expected[c])
              << "channel " << c << " of " << channels << ", " << positions << " positions";
        }
      }
    }
  }
}

TEST(ShiftOfChannel, IsThePublishedExample) {
  // 96 channels over 5 positions: 20, 20, 20, 20, 16 channels, displaced by -2 .. 2.
  std::vector<int> sizes(5, 0);
  for (int c = 0; c < 96; ++c) ++sizes[shift_of_channel(c, 96, 5, 1) + 2];
  EXPECT_EQ(sizes, (std::vector<int>{20, 20, 20, 20, 16}));
}

// Walks from the nearest border one pixel at a time.
int walk(int p, int extent, Padding padding) {
  if (p >= 0 && p < extent) return p;
  if (padding == Padding::kZero) return -1;
  const int step = p < 0 ? -1 : 1;
  int position = p < 0 ? 0 : extent - 1;  // the pixel of the border
  int direction = step;
  for (int left = p < 0 ? -p : p - (extent - 1); left > 0; --left) {
    if (padding == Padding::kReplicate) continue;
    if (padding == Padding::kCircular) {
      position = (position + step + extent) % extent;
      continue;
    }
    if (extent == 1) continue;
    if (position + direction < 0 || position + direction >= extent) direction = -direction;
    position += direction;
  }
  return position;
}

TEST(PaddedIndex, AgreesWithWalking) {
  for (Padding padding :
       {Padding::kZero, Padding::kCircular, Padding::kReflect, Padding::kReplicate}) {
    for (int extent = 1; extent <= 9; ++extent) {
      for (int p = -40; p <= 40; ++p) {
        ASSERT_EQ(padded_index(p, extent, padding), walk(p, extent, padding))
            << to_string(padding) << " p " << p << " extent " << extent;
      }
    }
  }
}

TEST(Stem, HalvesTheImageAndDoublesTheChannels) {
  Config config;
  config.stem = Stem::kConv;
  config.embed_dim = 64;
  config.patch_size = 8;
  EXPECT_EQ(config.stem_convs(), 2);
  EXPECT_EQ(config.stem_dim(0), 16);
  EXPECT_EQ(config.stem_dim(1), 32);
  EXPECT_EQ(stem_sizes(config, 37, 40), (std::vector<MapSize>{{19, 20}, {10, 10}}));
  // The last convolution ends where patches of the same size do.
  for (int h = 1; h < 40; ++h) {
    const MapSize last = stem_sizes(config, h, h).back();
    EXPECT_EQ(stage_sizes(config, h, h)[0].h, (last.h + 1) / 2) << h;
  }
}

TEST(Stem, NeedsPatchesAndChannelsThatHalve) {
  Config config;
  config.stem = Stem::kConv;
  validate(config);
  for (const int patch : {1, 2, 3, 5, 16}) {
    config.patch_size = patch;
    EXPECT_THROW(validate(config), Error) << patch;
  }
  config.patch_size = 8;
  config.embed_dim = 10;
  EXPECT_THROW(validate(config), Error);
}

TEST(StageSizes, RoundUp) {
  Config config;
  EXPECT_EQ(stage_sizes(config, 224, 224),
            (std::vector<MapSize>{{56, 56}, {28, 28}, {14, 14}, {7, 7}}));
  EXPECT_EQ(stage_sizes(config, 1, 225), (std::vector<MapSize>{{1, 57}, {1, 29}, {1, 15}, {1, 8}}));
}

TEST(ValidateConfig, NamesTheFieldAndItsValue) {
  const auto message = [](auto change) {
    Config config;
    change(config);
    try {
      validate(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto names = [&](auto change, const std::string& field, const std::string& value) {
    const std::string text = message(change);
    EXPECT_NE(text.find(field), std::string::npos) << text;
    EXPECT_NE(text.find(value), std::string::npos) << text;
  };
  EXPECT_EQ(message([](Config&) {}), "accepted");
  names([](Config& c) { c.in_chans = 0; }, "in_chans", "0");
  names([](Config& c) { c.num_classes = -1; }, "num_classes", "-1");
  names([](Config& c) { c.embed_dim = 4097; }, "embed_dim", "4097");
  names([](Config& c) { c.depths.clear(); }, "depths", "0");
  names([](Config& c) { c.depths.assign(9, 1); }, "depths", "9");
  names([](Config& c) { c.depths[1] = -2; }, "depths", "-2");
  names([](Config& c) { c.patch_size = 65; }, "patch_size", "65");
  names([](Config& c) { c.mlp_ratio = 0.001; }, "mlp_ratio", "0");
  names([](Config& c) { c.shift_size.h = 0; }, "shift_size", "0");
  names([](Config& c) { c.shift_size.w = 256; }, "shift_size", "256");
  names([](Config& c) { c.dilation = 0; }, "dilation", "0");
  names([](Config& c) { c.drop_path = 1.0; }, "drop_path", "1");
}

}  // namespace
}  // namespace asmlp::config_test
