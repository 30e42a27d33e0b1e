// What a published model needs in memory, measured by the running command itself.
#include <gtest/gtest.h>

#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_memory_test {
namespace {

// The weights are mapped, packed once, and their pages given back while they are packed: the model
// is never in memory twice. Sanitizers keep memory of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(Memory, TinyNeedsItsWeightsAndFortyMegabytes) {
  const TemporaryFolder folder;
  const fs::path model = folder.path() / "tiny.safetensors", images = folder.path() / "images";
  Checkpoint checkpoint;
  checkpoint.spec = zoo_model("asmlp_tiny_patch4_shift5_224");
  checkpoint.spec.config.num_classes = 2;  // as many as the data set has
  checkpoint.tensors = fill_parameters(checkpoint.spec.config);
  save_checkpoint(model, checkpoint);
  const auto weights = static_cast<double>(fs::file_size(model));
  checkpoint.tensors.clear();
  for (const char* kind : {"a", "b"}) {
    fs::create_directories(images / kind);
    fs::copy_file(data("photos/rocket.jpg"), images / kind / "rocket.jpg");
  }
  for (const char* precision : {"fp32", "bf16"}) {
    const Outcome outcome = run({"validate", images, "--model", model, "--batch-size", "1",
                                 "--threads", "2", "--precision", precision, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const double needed = std::string(precision) == "bf16" ? weights / 2 : weights;
    EXPECT_LE(outcome.json()["peak_memory_bytes"].get<double>(), needed + 40e6) << precision;
  }
}
#endif

}  // namespace
}  // namespace asmlp::test::cli_memory_test
