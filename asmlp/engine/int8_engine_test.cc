// Engines with int8 layers: against the quantized network in double, and the same bits on every
// ISA, for any thread count and batch split.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>

#include "asmlp/engine/engine.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/quantized.h"
#include "tests/support/quantized.h"
#include "tests/support/random_config.h"
#include "tests/support/support.h"

namespace asmlp::int8_engine_test {
namespace {

ModelSpec spec_of(Config config, int size) {
  ModelSpec spec;
  spec.name = "test";
  spec.preprocessing = default_preprocessing(config, size);
  spec.config = std::move(config);
  return spec;
}

const test::ConfigChoices kChoices{.in_chans = {1, 3},
                                   .num_classes = {1, 5, 17},
                                   .embed_dim = {8, 16, 20, 40},
                                   .stages = {1, 2, 3},
                                   .blocks = {0, 1, 2},
                                   .patch_size = {1, 2, 4},
                                   .mlp_ratio = {1, 2, 3.3, 4},
                                   .shift_h = {1, 2, 3, 5, 9},
                                   .shift_w = {1, 3, 4, 7},
                                   .dilation = {1, 2, 3}};

// Every layer, or some by their names; the two behind a shift together where they must be.
TensorMap random_quantized(const Config& config, unsigned choice) {
  return test::quantized(fill_parameters(config), [&](std::string layer) {
    const size_t shift = layer.find("conv2_");
    if (shift != layer.npos && config.connection == Connection::kParallel) layer.resize(shift);
    return choice % 3 == 0 || std::hash<std::string>()(layer + std::to_string(choice)) % 2 == 0;
  });
}

// One image's map of the network in double, quantized where the tensors are.
class Network {
 public:
  struct Map {
    int h, w, c;
    std::vector<double> v;
    double& at(int y, int x, int k) { return v[(int64_t{y} * w + x) * c + k]; }
    double at(int y, int x, int k) const { return v[(int64_t{y} * w + x) * c + k]; }
  };

  Network(const Config& config, const TensorMap& tensors) : config_(config), tensors_(tensors) {}

  std::vector<double> logits(std::span<const float> input, int h, int w) const {
    Map x = stem(input, h, w);
    x = linear(x, "patch_embed.proj");
    if (config_.patch_norm) norm(x, "patch_embed.norm");
    for (int s = 0; s < config_.num_stages(); ++s) {
      const std::string layer = "layers." + std::to_string(s) + ".";
      for (int b = 0; b < config_.depths[s]; ++b)
        block(x, layer + "blocks." + std::to_string(b) + ".");
      if (s + 1 < config_.num_stages()) {
        const bool conv = config_.downsample == Downsample::kConv;
        if (!conv) x = merged(x);
        norm(x, layer + "downsample.norm");
        x = linear(conv ? halved(x) : x, layer + "downsample.reduction");
      }
    }
    norm(x, "norm");
    Map pooled{1, 1, x.c, std::vector<double>(x.c)};
    for (size_t i = 0; i < x.v.size(); ++i) pooled.v[i % x.c] += x.v[i] / (x.h * x.w);
    return linear(pooled, "head").v;
  }

 private:
  // What patch_embed.proj reads.
  Map stem(std::span<const float> input, int h, int w) const {
    if (config_.stem == Stem::kPatch) return patches(input, h, w, config_.patch_size);
    Map x = patches(input, h, w, 1);
    for (int i = 0; i < config_.stem_convs(); ++i) {
      const std::string step = "patch_embed.stem." + std::to_string(i);
      x = linear(halved(x), step + ".conv");
      norm(x, step + ".norm");
      gelu(x);
    }
    return halved(x);
  }

  // The 3 x 3 neighborhoods of every second pixel, channel by channel as in the weights.
  static Map halved(const Map& x) {
    Map map{(x.h + 1) / 2, (x.w + 1) / 2, 9 * x.c, {}};
    map.v.resize(int64_t{map.h} * map.w * map.c);
    for (int i = 0; i < map.h; ++i) {
      for (int j = 0; j < map.w; ++j) {
        for (int tap = 0; tap < 9; ++tap) {
          const int y = 2 * i + tap / 3 - 1, z = 2 * j + tap % 3 - 1;
          if (y < 0 || y >= x.h || z < 0 || z >= x.w) continue;
          for (int c = 0; c < x.c; ++c) map.at(i, j, c * 9 + tap) = x.at(y, z, c);
        }
      }
    }
    return map;
  }

  Map patches(std::span<const float> input, int h, int w, int p) const {
    const int chans = config_.in_chans;
    Map map{(h + p - 1) / p, (w + p - 1) / p, chans * p * p, {}};
    map.v.resize(int64_t{map.h} * map.w * map.c);
    for (int c = 0; c < chans; ++c) {
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          map.at(y / p, x / p, (c * p + y % p) * p + x % p) = input[(int64_t{c} * h + y) * w + x];
        }
      }
    }
    return map;
  }

  Map merged(const Map& x) const {
    Map map{(x.h + 1) / 2, (x.w + 1) / 2, 4 * x.c, {}};
    map.v.resize(int64_t{map.h} * map.w * map.c);
    for (int i = 0; i < x.h; ++i) {
      for (int j = 0; j < x.w; ++j) {
        for (int c = 0; c < x.c; ++c) {
          map.at(i / 2, j / 2, (i % 2 + 2 * (j % 2)) * x.c + c) = x.at(i, j, c);
        }
      }
    }
    return map;
  }

  void block(Map& x, const std::string& name) const {
    Map y = x;
    norm(y, name + "norm1");
    y = linear(y, name + "axial_shift.conv1");
    norm(y, name + "axial_shift.norm1");
    gelu(y);
    Map z = shifted(y, name + "axial_shift.conv2_1", config_.shift_size.w, /*along_w=*/true);
    gelu(z);
    if (config_.connection == Connection::kSerial) {
      z = shifted(z, name + "axial_shift.conv2_2", config_.shift_size.h, /*along_w=*/false);
      gelu(z);
    } else {
      Map other = shifted(y, name + "axial_shift.conv2_2", config_.shift_size.h, false);
      gelu(other);
      for (size_t i = 0; i < z.v.size(); ++i) z.v[i] += other.v[i];
    }
    norm(z, name + "axial_shift.norm2");
    add(x, linear(z, name + "axial_shift.conv3"));
    Map m = x;
    norm(m, name + "norm2");
    m = linear(m, name + "mlp.fc1");
    gelu(m);
    add(x, linear(m, name + "mlp.fc2"));
  }

  static void add(Map& x, const Map& y) {
    for (size_t i = 0; i < x.v.size(); ++i) x.v[i] += y.v[i];
  }

  static void gelu(Map& x) {
    for (double& v : x.v) v = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
  }

  void norm(Map& x, const std::string& name) const {
    double mean = 0, variance = 0;
    for (double v : x.v) mean += v / static_cast<double>(x.v.size());
    for (double v : x.v) variance += (v - mean) * (v - mean) / static_cast<double>(x.v.size());
    const auto gamma = to_f32(tensors_.at(name + ".weight")),
               beta = to_f32(tensors_.at(name + ".bias"));
    for (size_t i = 0; i < x.v.size(); ++i) {
      x.v[i] = (x.v[i] - mean) / std::sqrt(variance + kNormEps) * gamma[i % x.c] + beta[i % x.c];
    }
  }

  Map shifted(const Map& x, const std::string& name, int positions, bool along_w) const {
    Map out{x.h, x.w, x.c, std::vector<double>(x.v.size())};
    for (int i = 0; i < x.h; ++i) {
      for (int j = 0; j < x.w; ++j) {
        for (int c = 0; c < x.c; ++c) {
          const int d = shift_of_channel(c, x.c, positions, config_.dilation);
          const int from =
              padded_index((along_w ? j : i) - d, along_w ? x.w : x.h, config_.padding);
          if (from >= 0) out.at(i, j, c) = along_w ? x.at(i, from, c) : x.at(from, j, c);
        }
      }
    }
    return linear(out, name);
  }

  Map linear(const Map& x, const std::string& name) const {
    const Tensor& weight = tensors_.at(name + ".weight");
    const auto w = to_f32(weight);
    const int cols = static_cast<int>(weight.shape[0]);
    std::vector<float> bias(cols), scale(cols, 1.0f);
    if (const auto found = tensors_.find(name + ".bias"); found != tensors_.end()) {
      bias = to_f32(found->second);
    }
    Map in = x, out{x.h, x.w, cols, std::vector<double>(int64_t{x.h} * x.w * cols)};
    if (weight.dtype == DType::kI8) {
      scale = to_f32(tensors_.at(name + ".weight_scale"));
      const double step = to_f32(tensors_.at(name + ".input_scale"))[0];
      const double zero = to_f32(tensors_.at(name + ".input_zero_point"))[0];
      for (double& v : in.v) {
        v = (std::clamp(std::nearbyint(v / step) + zero, -128.0, 127.0) - zero) * step;
      }
    }
    for (int64_t r = 0; r < int64_t{x.h} * x.w; ++r) {
      for (int j = 0; j < cols; ++j) {
        double sum = 0;
        for (int k = 0; k < x.c; ++k) sum += in.v[r * x.c + k] * w[int64_t{j} * x.c + k];
        out.v[r * cols + j] = sum * scale[j] + bias[j];
      }
    }
    return out;
  }

  const Config& config_;
  const TensorMap& tensors_;
};

std::vector<float> run(const Config& config, const TensorMap& tensors, int h, int w, int batch,
                       int threads, Isa isa, std::span<const float> input) {
  const auto model = PackedModel::create(spec_of(config, 8), tensors, {isa, Precision::kInt8});
  Engine engine(model, {.height = h, .width = w, .max_batch = batch, .threads = threads});
  engine.run(input, batch);
  return {engine.logits().begin(), engine.logits().end()};
}

// The exact network rounds some values to the other neighbor: each such step is 1/255 of a range of
// 8 standard deviations in one of many inputs, far below what a wrong scale or zero point would do.
TEST(Int8Engine, ComputesTheQuantizedNetwork) {
  std::mt19937 random(20261130);
  double sum = 0;
  constexpr int kCases = 40;
  for (int i = 0; i < kCases; ++i) {
    const Config config = test::random_config(random, kChoices);
    const int h = 1 + random() % 24, w = 1 + random() % 24;
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << to_json(spec_of(config, 8)) << " on "
                                    << h << " x " << w);
    const TensorMap tensors = random_quantized(config, i);
    if (!is_quantized(tensors)) continue;  // a model without such layers, or none was chosen
    const auto input = to_f32(fill_tensor("input", {1, config.in_chans, h, w}));
    const std::vector<double> exact = Network(config, tensors).logits(input, h, w);
    const auto got = run(config, tensors, h, w, 1, 2, Isa::kAuto, input);
    const double error = test::relative_error(got, std::vector<float>(exact.begin(), exact.end()));
    EXPECT_LE(error, 0.05);
    sum += error;
  }
  EXPECT_LE(sum / kCases, 0.005);
}

TEST(Int8Engine, EveryIsaGivesTheSameBits) {
  std::mt19937 random(19);
  for (int i = 0; i < 40; ++i) {
    Config config = test::random_config(random, kChoices);
    if (i % 8 == 0) config.embed_dim = 1 + random() % 70;
    const int h = 1 + random() % 40, w = 1 + random() % 40, batch = 1 + random() % 3;
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << to_json(spec_of(config, 8)) << " on "
                                    << h << " x " << w);
    const TensorMap tensors = random_quantized(config, i);
    if (!is_quantized(tensors)) continue;  // a model without such layers, or none was chosen
    const auto input = to_f32(fill_tensor("input", {batch, config.in_chans, h, w}));
    const auto expected = run(config, tensors, h, w, batch, 1, Isa::kReference, input);
    for (Isa isa : available_isas()) {
      EXPECT_EQ(run(config, tensors, h, w, batch, 2, isa, input), expected) << to_string(isa);
    }
  }
}

// With so many threads that they share rows in some stages and columns in others.
TEST(Int8Engine, GivesTheSameBitsForAnyThreadCountAndBatchSplit) {
  Config config;
  config.embed_dim = 24;
  config.depths = {1, 1, 1};
  config.num_classes = 9;
  const int batch = 5, side = 52;
  const auto input = to_f32(fill_tensor("input", {batch, 3, side, side}));
  const size_t image = input.size() / batch;
  for (unsigned choice : {0, 1, 2}) {
    const TensorMap tensors = random_quantized(config, choice);
    for (Isa isa : available_isas()) {
      const auto expected = run(config, tensors, side, side, batch, 1, isa, input);
      for (int threads : {2, 3, 5, 16}) {
        EXPECT_EQ(run(config, tensors, side, side, batch, threads, isa, input), expected);
        for (int i = 0; i < batch; ++i) {
          EXPECT_EQ(run(config, tensors, side, side, 1, threads, isa,
                        std::span(input).subspan(i * image, image)),
                    std::vector<float>(expected.begin() + i * 9, expected.begin() + i * 9 + 9));
        }
      }
    }
  }
}

// A narrow layer of many hidden channels, and few rows: one task has more rows than the cache shall
// hold, and its hidden rows must still have room.
TEST(Int8Engine, FewRowsOfManyHiddenChannelsHaveRoom) {
  Config config;
  config.embed_dim = 8;
  config.depths = {1};
  config.mlp_ratio = 64;
  config.num_classes = 3;
  config.patch_size = 1;
  const TensorMap tensors = test::quantized(fill_parameters(config));
  for (int side : {6, 8, 9, 12}) {
    const auto input = to_f32(fill_tensor("input", {1, 3, side, side}));
    const auto expected = run(config, tensors, side, side, 1, 1, Isa::kReference, input);
    for (int threads : {1, 4}) {
      EXPECT_EQ(run(config, tensors, side, side, 1, threads, Isa::kAuto, input), expected);
    }
  }
}

}  // namespace
}  // namespace asmlp::int8_engine_test
