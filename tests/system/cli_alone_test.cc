// The command where asmlp-torch does not exist: every task runs, and what needs LibTorch says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"

namespace asmlp::test::cli_alone_test {
namespace {

using testing::AllOf, testing::HasSubstr;

class AloneWithEveryTask : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_.path() / "bin");
    settings_.program = folder_.path() / "bin/asmlp";
    fs::copy_file(ASMLP_BIN, settings_.program);
    settings_.environment = {"PATH=" + (folder_.path() / "nowhere").string(),
                             "ASMLP_MODEL_DIR=" + data("models").string()};
  }
  Outcome alone(std::vector<std::string> words, const std::vector<std::string>& more = {}) const {
    words.insert(words.end(), more.begin(), more.end());
    return run(words, settings_);
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
  RunSettings settings_;
};

TEST_F(AloneWithEveryTask, EveryTaskRuns) {
  const std::string photo = data("coco_base/val2017/000000000001.jpg");
  const std::vector<std::vector<std::string>> commands{
      {"detect", photo, "--output", path("d"), "--json"},
      {"segment", photo, "--output", path("s"), "--json"},
      {"validate", data("coco_base"), "--threads", "1"},
      {"bench", "--task", "detect", "--model", data("models/mask_rcnn_scenes.safetensors"),
       "--runs", "1", "--warmup", "0"},
      {"bench", "--task", "segment", "--model", data("models/upernet_scenes.safetensors"), "--runs",
       "1", "--warmup", "0"}};
  for (const std::vector<std::string>& words : commands) {
    const Outcome outcome = alone(words);
    EXPECT_EQ(outcome.code, 0) << words[0] << ": " << outcome.err;
    const Outcome torch = alone(words, {"--backend", "torch"});
    EXPECT_EQ(torch.code, 1) << words[0];
    EXPECT_THAT(torch.err, AllOf(HasSubstr("`--backend torch` needs the program asmlp-torch"),
                                 HasSubstr("scripts/install_deps.sh")));
  }
  EXPECT_THAT(alone({"train", "data"}).err, HasSubstr("`train` needs the program asmlp-torch"));
}

TEST_F(AloneWithEveryTask, TheHelpIsWhole) {
  for (const char* command : {"detect", "segment", "validate"}) {
    const Outcome help = alone({command, "--help"});
    EXPECT_EQ(help.code, 0) << help.err;
    for (const char* option : {"--backend", "--isa", "--precision", "--threads"}) {
      EXPECT_THAT(help.out, HasSubstr(option)) << command;
    }
  }
  EXPECT_THAT(alone({"detect", "--help"}).out, HasSubstr("--tiles"));
  EXPECT_EQ(alone({"--help"}).code, 0);
}

// Nothing of LibTorch is loaded.
TEST_F(AloneWithEveryTask, TheProgramDoesNotLinkLibTorch) {
  EXPECT_EQ(slurp(settings_.program).find("libtorch_cpu.so"), std::string::npos);
  EXPECT_EQ(slurp(settings_.program).find("libc10.so"), std::string::npos);
}

}  // namespace
}  // namespace asmlp::test::cli_alone_test
