// What int8 makes of the authors' logits, with weights by the fill rule.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "asmlp/engine/engine.h"
#include "asmlp/model/zoo.h"
#include "asmlp/quantize/quantize.h"
#include "asmlp/weights/fill.h"
#include "tests/support/golden.h"

namespace asmlp::test::int8_golden_test {
namespace {

// A published model's logits: every layer in int8, calibrated on other inputs.
std::vector<float> int8_logits(const FullSize& full) {
  Checkpoint checkpoint;
  checkpoint.spec = zoo_model(full.model);
  checkpoint.tensors = fill_parameters(checkpoint.spec.config);
  checkpoint = quantized_for_benchmark(checkpoint);
  const auto model = PackedModel::create(checkpoint.spec, checkpoint.tensors);
  EXPECT_EQ(model->precision(), Precision::kInt8);
  Engine engine(model, {.max_batch = full.batch});
  const int side = checkpoint.spec.preprocessing.size;
  const Tensor input = fill_tensor(std::string("input.") + full.tag, {full.batch, 3, side, side});
  engine.run(to_f32(input), full.batch);
  return {engine.logits().begin(), engine.logits().end()};
}

// Every factor of a product is off by up to half of one of 255 steps over its range of about 8
// standard deviations: 8 / 255 / sqrt(12), or 0.9 %, of the input, and less of the weights. Such
// errors of 12 to 24 blocks add up as squares beside the residual stream; a wrong layer gives 1.
TEST(Int8Golden, LogitsOfThePublishedSizes) {
  const TensorFile file = read_safetensors(data("golden/full_size_logits.safetensors"));
  for (const FullSize& full : kFullSizes) {
    // The reference kernels need minutes for the others.
    if (default_isa() == Isa::kReference && full.tag != std::string("asmlp_mobile")) continue;
    const std::vector<float> logits = int8_logits(full);
    const double error =
        relative_error(logits, to_f32(file.tensors.at(std::string(full.tag) + ".logits")));
    std::printf("parity native-%s %s int8 logits %.2e\n", to_string(default_isa()), full.tag,
                error);
    EXPECT_LE(error, 0.1) << full.tag;
    EXPECT_GE(error, 1e-4) << full.tag << ": this was not int8";
  }
}

}  // namespace
}  // namespace asmlp::test::int8_golden_test
