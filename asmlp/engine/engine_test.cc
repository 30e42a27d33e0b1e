// Properties of the engine that need no golden data.
#include "asmlp/engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/engine/packed_weights.h"
#include "asmlp/engine/plan.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"
#include "tests/support/allocations.h"
#include "tests/support/quantized.h"
#include "tests/support/random_config.h"
#include "tests/support/support.h"

// Counts every allocation of the process: Engine::run must not make one.
// (GCC takes the pair below for a mismatch when it inlines one of the two.)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
std::atomic<int64_t> asmlp::test::allocations{0};
void* operator new(size_t size) {
  ++asmlp::test::allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace asmlp::engine_test {
namespace {

ModelSpec spec_of(Config config, int size) {
  ModelSpec spec;
  spec.name = "test";
  spec.preprocessing = default_preprocessing(config, size);
  spec.config = std::move(config);
  return spec;
}

const test::ConfigChoices kChoices{.in_chans = {1, 3, 4},
                                   .num_classes = {0, 1, 5, 17},
                                   .embed_dim = {1, 7, 8, 16, 20, 40},
                                   .stages = {1, 2, 3},
                                   .blocks = {0, 1, 2},
                                   .patch_size = {1, 2, 3, 4},
                                   .mlp_ratio = {1, 2, 4},
                                   .shift_h = {1, 2, 3, 5, 9},
                                   .shift_w = {1, 3, 4, 7},
                                   .dilation = {1, 2, 3}};

std::vector<float> run(const Config& config, int h, int w, int batch, int threads,
                       const PackOptions& options, std::span<const float> input) {
  const auto model = PackedModel::create(spec_of(config, 8), fill_parameters(config), options);
  Engine engine(model, {.height = h, .width = w, .max_batch = batch, .threads = threads});
  engine.run(input, batch);
  const auto map = engine.final_map(), logits = engine.logits();
  std::vector<float> out(map.begin(), map.end());
  out.insert(out.end(), logits.begin(), logits.end());
  return out;
}

TEST(Engine, EveryIsaAgreesWithTheReferenceOnRandomConfigs) {
  std::mt19937 random(20261122);
  for (int i = 0; i < 150; ++i) {
    const Config config = test::random_config(random, kChoices);
    const int h = 1 + random() % 40, w = 1 + random() % 40, batch = 1 + random() % 3;
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << to_json(spec_of(config, 8)) << " on "
                                    << h << " x " << w);
    const auto input = to_f32(fill_tensor("input", {batch, config.in_chans, h, w}));
    const auto expected = run(config, h, w, batch, 1, {.isa = Isa::kReference}, input);
    for (Isa isa : available_isas()) {
      const auto got = run(config, h, w, batch, 2, {.isa = isa}, input);
      EXPECT_LE(test::relative_error(got, expected), 2e-5) << to_string(isa);
      const auto bf16 = run(config, h, w, batch, 2, {isa, Precision::kBf16}, input);
      // A layer of one or two channels averages nothing out.
      const double bound = config.embed_dim < 8 ? 1e-1 : 3e-2;
      EXPECT_LE(test::relative_error(bf16, expected), bound) << to_string(isa) << " in bf16";
    }
  }
}

// With so many threads that they share rows in some stages and columns in others.
TEST(Engine, GivesTheSameBitsForAnyThreadCountAndBatchSplit) {
  Config config;
  config.embed_dim = 24;
  config.depths = {1, 1, 1};
  config.num_classes = 9;
  const int batch = 5, side = 52;
  const auto input = to_f32(fill_tensor("input", {batch, 3, side, side}));
  const size_t image = input.size() / batch;
  for (Isa isa : available_isas()) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
      const auto model =
          PackedModel::create(spec_of(config, side), fill_parameters(config), {isa, precision});
      EXPECT_EQ(model->precision(), precision);
      Engine whole(model, {.max_batch = batch, .threads = 1});
      whole.run(input, batch);
      const std::vector<float> expected(whole.logits().begin(), whole.logits().end());
      for (int threads : {2, 3, 5, 16}) {
        Engine engine(model, {.max_batch = batch, .threads = threads});
        EXPECT_EQ(engine.threads(), threads);
        engine.run(input, batch);
        EXPECT_EQ(std::vector<float>(engine.logits().begin(), engine.logits().end()), expected);
        for (int i = 0; i < batch; ++i) {
          engine.run(std::span(input).subspan(i * image, image), 1);
          const std::vector<float> one(engine.logits().begin(), engine.logits().end());
          EXPECT_EQ(one,
                    std::vector<float>(expected.begin() + i * 9, expected.begin() + i * 9 + 9));
        }
      }
    }
  }
}

// Images too large to go through the first stages together, of odd sides: each has the results,
// feature maps included, that it has alone.
TEST(Engine, GroupsOfImagesGiveTheBitsOfSingleOnes) {
  Config config;
  config.embed_dim = 24;
  config.depths = {1, 2, 1, 1};
  config.num_classes = 9;
  const int batch = 5, h = 401, w = 390;
  const auto input = to_f32(fill_tensor("input", {batch, 3, h, w}));
  const size_t image = input.size() / batch;
  for (Connection connection : {Connection::kParallel, Connection::kSerial}) {
    config.connection = connection;
    const auto model = PackedModel::create(spec_of(config, 32), fill_parameters(config));
    EngineOptions options{.height = h, .width = w, .max_batch = batch, .threads = 2};
    options.features = true;
    ThreadPool pool(options.threads);
    const Plan plan(*model->weights().kernels, config, model->weights(), options, pool);
    ASSERT_LT(plan.stages.front().group, batch);
    ASSERT_EQ(plan.stages.back().group, batch);
    const auto results = [&](Engine& engine, int i, int of) {
      std::vector<float> all;
      const auto append = [&](std::span<const float> values) {
        const size_t count = values.size() / of;
        all.insert(all.end(), values.begin() + i * count, values.begin() + (i + 1) * count);
      };
      append(engine.logits());
      append(engine.pooled());
      append(engine.final_map());
      for (int k = 0; k < engine.num_features(); ++k) {
        std::vector<float> feature(element_count(engine.feature_shape(k)));
        engine.copy_feature(k, feature);
        append(feature);
      }
      return all;
    };
    Engine whole(model, options), alone(model, options);
    whole.run(input, batch);
    for (int i = 0; i < batch; ++i) {
      alone.run(std::span(input).subspan(i * image, image), 1);
      EXPECT_EQ(results(whole, i, batch), results(alone, 0, 1)) << i;
    }
  }
}

// Engines in threads of their own share the machine; each gets its own bits.
TEST(Engine, EnginesRunSideBySide) {
  Config config;
  config.embed_dim = 16;
  config.depths = {1, 1};
  config.num_classes = 7;
  const auto model = PackedModel::create(spec_of(config, 40), fill_parameters(config));
  const auto input = to_f32(fill_tensor("input", {4, 3, 40, 40}));
  const size_t image = input.size() / 4;
  std::vector<std::vector<float>> got(4), expected(4);
  const auto classify = [&](Engine& engine, int i) {
    engine.run(std::span(input).subspan(i * image, image), 1);
    return std::vector<float>(engine.logits().begin(), engine.logits().end());
  };
  Engine alone(model, {.threads = 1});
  for (int i = 0; i < 4; ++i) expected[i] = classify(alone, i);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      Engine engine(model, {.threads = 3});
      for (int repeat = 0; repeat < 50; ++repeat) wrong += classify(engine, i) != expected[i];
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Engine, ProfileCoversEveryMultiplyAdd) {
  for (Connection connection : {Connection::kParallel, Connection::kSerial}) {
    Config config;
    config.embed_dim = 16;
    config.depths = {2, 1, 1};
    config.connection = connection;
    const auto model = PackedModel::create(spec_of(config, 64), fill_parameters(config));
    Engine plain(model, {}), engine(model, {.profile = true});
    EXPECT_TRUE(plain.profile().empty());
    const auto input = to_f32(fill_tensor("input", {1, 3, 64, 64}));
    engine.run(input, 1);
    engine.reset_profile();
    engine.run(input, 1);
    int64_t products = 0;
    for (const ProfileEntry& entry : engine.profile()) {
      products += entry.multiply_adds;
      EXPECT_GT(entry.seconds, 0) << entry.name << " of stage " << entry.stage;
    }
    // The authors' formula also counts the norms' and the shift's elementwise work.
    EXPECT_LE(products, multiply_adds(config, 64, 64));
    EXPECT_GE(products, 0.9 * multiply_adds(config, 64, 64));
  }
}

TEST(Engine, RunAllocatesNothing) {
  for (Connection connection : {Connection::kParallel, Connection::kSerial}) {
    Config config;
    config.embed_dim = 16;
    config.connection = connection;
    const auto input = to_f32(fill_tensor("input", {2, 3, 64, 64}));
    const TensorMap fp32 = fill_parameters(config), int8 = test::quantized(fp32);
    for (const TensorMap* tensors : {&fp32, &int8}) {
      const Precision precision = tensors == &int8 ? Precision::kInt8 : Precision::kFp32;
      const auto model =
          PackedModel::create(spec_of(config, 64), *tensors, {.precision = precision});
      Engine engine(model, {.max_batch = 2, .threads = 2, .features = true});
      std::vector<float> map(2 * 16 * 16 * 16);  // of the patch embedding
      const int64_t before = test::allocations;
      engine.run(input, 2);
      engine.copy_feature(0, map);
      engine.run(std::span(input).first(input.size() / 2), 1);
      EXPECT_EQ(test::allocations - before, 0);
    }
  }
}

TEST(Engine, PooledIsTheMeanOfTheFinalMap) {
  Config config;
  config.embed_dim = 12;
  config.depths = {1, 1};
  const auto model = PackedModel::create(spec_of(config, 30), fill_parameters(config));
  Engine engine(model, {.max_batch = 2});
  engine.run(to_f32(fill_tensor("input", {2, 3, 30, 30})), 2);
  const MapSize size = engine.final_map_size();
  const int channels = config.num_features(), pixels = size.h * size.w;
  for (int image = 0; image < 2; ++image) {
    for (int c = 0; c < channels; ++c) {
      double sum = 0;
      for (int p = 0; p < pixels; ++p) {
        sum += engine.final_map()[(image * pixels + p) * channels + c];
      }
      EXPECT_NEAR(engine.pooled()[image * channels + c], sum / pixels, 1e-5);
    }
  }
}

TEST(Engine, RefusesWhatItCannotRun) {
  Config config;
  config.embed_dim = 8;
  const auto model = PackedModel::create(spec_of(config, 32), fill_parameters(config));
  const auto code_of = [](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInterrupted;
  };
  EXPECT_EQ(code_of([&] { Engine(model, {.height = -1, .width = 3}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { Engine(model, {.height = 20000, .width = 3}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { Engine(model, {.max_batch = 0}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { Engine(model, {.threads = -2}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { Engine(model, {.height = 16384, .width = 16384, .max_batch = 4096}); }),
            ErrorCode::kTooLarge);
  Engine engine(model, {});
  EXPECT_EQ(code_of([&] { engine.run(std::vector<float>(7), 1); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { engine.run(std::vector<float>(2 * 3 * 32 * 32), 2); }),
            ErrorCode::kInvalidArgument);
  engine.run(std::vector<float>(3 * 32 * 32), 1);
  TensorMap missing = fill_parameters(config);
  missing.erase("head.bias");
  EXPECT_EQ(code_of([&] { PackedModel::create(spec_of(config, 32), missing); }),
            ErrorCode::kMismatch);
}

}  // namespace
}  // namespace asmlp::engine_test
