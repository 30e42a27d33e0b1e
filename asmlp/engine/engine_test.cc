// Properties of the engine that need no golden data.
#include "asmlp/engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/weights/fill.h"
#include "tests/random_config.h"
#include "tests/support.h"

// Counts every allocation of the process: Engine::run must not make one.
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

namespace asmlp {
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

std::vector<float> run(const Config& config, int h, int w, int batch, int threads, Isa isa,
                       std::span<const float> input) {
  const auto model = Model::create(spec_of(config, 8), fill_parameters(config), {.isa = isa});
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
    const auto expected = run(config, h, w, batch, 1, Isa::kReference, input);
    for (Isa isa : available_isas()) {
      EXPECT_LE(test::relative_error(run(config, h, w, batch, 2, isa, input), expected), 2e-5)
          << to_string(isa);
    }
  }
}

TEST(Engine, GivesTheSameBitsForAnyThreadCountAndBatchSplit) {
  Config config;
  config.embed_dim = 24;
  config.depths = {1, 1, 1};
  config.num_classes = 9;
  const int batch = 5, side = 52;
  const auto input = to_f32(fill_tensor("input", {batch, 3, side, side}));
  const auto model = Model::create(spec_of(config, side), fill_parameters(config));
  Engine whole(model, {.max_batch = batch, .threads = 1});
  whole.run(input, batch);
  const std::vector<float> expected(whole.logits().begin(), whole.logits().end());
  for (int threads : {2, 3, 5}) {
    Engine engine(model, {.max_batch = batch, .threads = threads});
    EXPECT_EQ(engine.threads(), threads);
    engine.run(input, batch);
    EXPECT_EQ(std::vector<float>(engine.logits().begin(), engine.logits().end()), expected);
    const size_t image = input.size() / batch;
    for (int i = 0; i < batch; ++i) {
      engine.run(std::span(input).subspan(i * image, image), 1);
      const std::vector<float> one(engine.logits().begin(), engine.logits().end());
      EXPECT_EQ(one, std::vector<float>(expected.begin() + i * 9, expected.begin() + i * 9 + 9));
    }
  }
}

TEST(Engine, RunAllocatesNothing) {
  for (Connection connection : {Connection::kParallel, Connection::kSerial}) {
    Config config;
    config.embed_dim = 16;
    config.connection = connection;
    const auto input = to_f32(fill_tensor("input", {2, 3, 64, 64}));
    const auto model = Model::create(spec_of(config, 64), fill_parameters(config));
    Engine engine(model, {.max_batch = 2, .threads = 2, .features = true});
    const int64_t before = allocations;
    engine.run(input, 2);
    engine.run(std::span(input).first(input.size() / 2), 1);
    EXPECT_EQ(allocations - before, 0);
  }
}

TEST(Engine, PooledIsTheMeanOfTheFinalMap) {
  Config config;
  config.embed_dim = 12;
  config.depths = {1, 1};
  const auto model = Model::create(spec_of(config, 30), fill_parameters(config));
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
  const auto model = Model::create(spec_of(config, 32), fill_parameters(config));
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
  EXPECT_EQ(code_of([&] { Model::create(spec_of(config, 32), missing); }), ErrorCode::kMismatch);
}

}  // namespace
}  // namespace asmlp
