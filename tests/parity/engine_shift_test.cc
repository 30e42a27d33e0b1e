// The engine's axial shift (an index map in the gather) against the authors' operator: exact, by
// the checksums of its outputs.
#include <gtest/gtest.h>

#include <cstdio>
#include <regex>

#include "asmlp/engine/plan.h"
#include "tests/support/golden.h"

namespace asmlp::test::engine_shift_test {
namespace {

Padding padding_named(const std::string& name) {
  for (Padding padding :
       {Padding::kZero, Padding::kCircular, Padding::kReflect, Padding::kReplicate}) {
    if (name == to_string(padding)) return padding;
  }
  ADD_FAILURE() << name;
  return Padding::kZero;
}

TEST(EngineShift, EqualsEveryGoldenShift) {
  const TensorFile file = read_safetensors(data("golden/axial_shift.safetensors"));
  const std::regex pattern(R"((\w+)\.out\.size(\d+)\.axis([hw])\.(\w+)\.dilation(\d+))");
  int cases = 0;
  for (const auto& [name, expected] : file.metadata) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) continue;
    SCOPED_TRACE(name);
    const Tensor& input = file.tensors.at(match[1].str() + ".input");
    const int64_t images = input.shape[0], channels = input.shape[1], h = input.shape[2],
                  w = input.shape[3], pixels = h * w, stride = round_up(channels, 16);
    const std::vector<float> nchw = to_f32(input);
    AlignedFloats map(images * pixels * stride + kGatherSlack);
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t p = 0; p < pixels; ++p) {
          map.data()[(i * pixels + p) * stride + c] = nchw[(i * channels + c) * pixels + p];
        }
      }
    }
    const Axis axis = match[3] == "h" ? Axis::kH : Axis::kW;
    const ShiftTable table =
        make_shift_table(static_cast<int>(channels), std::stoi(match[2]), std::stoi(match[5]),
                         static_cast<int>(axis == Axis::kH ? h : w), padding_named(match[4]));
    AlignedFloats out(images * pixels * channels + kGatherSlack);
    gather_shifted<float>(
        {map.data(), static_cast<int>(h), static_cast<int>(w), static_cast<int>(channels), stride},
        table, axis, 0, images * pixels, out.data(), channels, channels);
    std::vector<float> shifted(nchw.size());
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t p = 0; p < pixels; ++p) {
          shifted[(i * channels + c) * pixels + p] = out.data()[(i * pixels + p) * channels + c];
        }
      }
    }
    EXPECT_EQ(crc32_of(shifted), expected);
    ++cases;
  }
  EXPECT_GT(cases, 100);
  std::printf("parity native axial_shift %d cases exact\n", cases);
}

}  // namespace
}  // namespace asmlp::test::engine_shift_test
