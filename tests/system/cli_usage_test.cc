// Help, errors, exit codes, the hand-over to asmlp-torch: the command's manners.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command.h"

namespace asmlp::test::cli_usage_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

struct Help {
  std::string command;
  std::vector<std::string> options;
};

TEST(Help, OfEverySubcommandIsCompleteAndOnStandardOutput) {
  const std::vector<std::string> model{"--model", "--weights", "--config", "--shift-size"};
  const std::vector<std::string> run_options{"--threads", "--isa"};
  const std::vector<std::string> image{"--img-size",      "--crop-pct",   "--interpolation",
                                       "--class-map",     "--batch-size", "--results-file",
                                       "--results-format"};
  std::vector<Help> expected{
      {"info", {"--list", "--cpu", "--params", "--img-size", "--config", "--shift-size"}},
      {"predict", {"--topk", "--cam", "--sheet"}},
      {"validate", {"--split", "--limit", "--sheet", "--confusion", "--backend"}},
      {"convert",
       {"--shift-size", "--config", "--model", "--class-map", "--name", "--dtype", "--img-size",
        "--batch-size", "--features", "--normalize"}},
      {"calibrate",
       {"--data", "--split", "--limit", "--temperature", "--typical-score", "--output"}},
      {"forward", {"--input", "--output", "--backend", "--precision"}}};
  for (Help& help : expected) {
    const auto add = [&](const std::vector<std::string>& more) {
      help.options.insert(help.options.end(), more.begin(), more.end());
    };
    add({"--json", "--verbose", "--quiet", "--help"});
    const bool by_model_options =
        help.command != "info" && help.command != "convert" && help.command != "calibrate";
    if (by_model_options) add(model), add(run_options);
    if (help.command == "predict" || help.command == "validate") add(image);
    const Outcome outcome = run({help.command, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(run({"help", help.command}).out, outcome.out);
    for (const std::string& option : help.options) {
      EXPECT_THAT(outcome.out, HasSubstr(option)) << help.command;
    }
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
  }
  const Outcome top = run({"--help"});
  EXPECT_EQ(top.code, 0);
  for (const char* name : {"info", "predict", "validate", "convert", "forward", "train"}) {
    EXPECT_THAT(top.out, HasSubstr(name));
  }
  EXPECT_EQ(run({"help"}).out, top.out);
  EXPECT_EQ(run({"help", "dataset", "shards"}).out, run({"dataset", "shards", "--help"}).out);
  EXPECT_THAT(run({"--version"}).out, StartsWith("asmlp "));
  EXPECT_EQ(run({"version"}).out, run({"--version"}).out);
}

struct Failing {
  std::vector<std::string> arguments;
  int code;
  std::string error_code;  // of --json
  std::vector<std::string> message;
};

TEST(Errors, NameTheCulpritAndSayWhatToDo) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder.path() / "m.safetensors");
  const std::string backbone = write_model(folder.path() / "b.safetensors", 3, 0);
  const std::string deep = write_model(folder.path() / "d.safetensors", 4);
  const std::string photo = data("photos/coffee.png");
  const std::string junk = folder.path() / "junk.safetensors";
  std::ofstream(junk) << "this is not a model";
  const std::vector<Failing> cases{
      {{}, 2, "usage", {"a command is required"}},
      {{"predit"}, 2, "usage", {"'predit'", "'predict'"}},
      {{"predict"}, 2, "usage", {"images", "predict --help"}},
      {{"predict", photo, "--tokp", "3"}, 2, "usage", {"--tokp", "--topk"}},
      {{"predict", photo, "--topk", "0"}, 2, "usage", {"--topk"}},
      {{"predict", photo, "--model", model, "--isa", "mmx"},
       2,
       "invalid_argument",
       {"mmx", "reference"}},
      {{"predict", photo, "--model", model, "--shift-size", "5x5"}, 2, "invalid_argument", {"5x5"}},
      {{"predict", photo, "--threads", "-1"}, 2, "usage", {"--threads"}},
      {{"predict", photo, "--model", "asmlp_tiny_patch4_shift5_24"},
       1,
       "not_found",
       {"asmlp_tiny_patch4_shift5_24", "did you mean 'asmlp_tiny_patch4_shift5_224'"}},
      {{"predict", photo, "--model", "asmlp_tiny_patch4_shift5_224"},
       1,
       "not_found",
       {"asmlp_tiny_patch4_shift5_224", "--weights"}},
      {{"predict", photo, "--model", model, "--weights", model},
       2,
       "invalid_argument",
       {"both files"}},
      {{"predict", photo, "--model", "missing.safetensors"},
       1,
       "not_found",
       {"missing.safetensors"}},
      {{"predict", photo, "--model", junk}, 1, "bad_format", {"junk.safetensors"}},
      {{"predict", photo, "--model", backbone}, 1, "unsupported", {"b.safetensors", "head"}},
      {{"predict", photo, "--model", deep}, 1, "unsupported", {"d.safetensors", "4 channels"}},
      {{"predict", photo, "--model", model, "--cam", model}, 1, "io", {"--cam", "m.safetensors"}},
      {{"predict", photo, "--weights", model, "--config", "missing.json"},
       1,
       "not_found",
       {"missing.json"}},
      {{"info", "asmlp_bse_patch4_shift5_384"}, 1, "not_found", {"'asmlp_base_patch4_shift5_384'"}},
      {{"info", "--params"}, 2, "invalid_argument", {"--params"}},
      {{"validate", "/no/such/data", "--model", model}, 1, "not_found", {"/no/such/data"}},
      {{"validate", data("photos"), "--split", "a/b"}, 2, "invalid_argument", {"split 'a/b'"}},
      {{"validate", data("cases"), "--split", "half"}, 1, "not_found", {"no split 'half'"}},
      {{"help", "predit"}, 2, "usage", {"'predit'", "'predict'"}},
      {{"predict", photo, "--quiet", "--verbose"}, 2, "usage", {"--quiet"}},
      {{"convert", "", "out.safetensors"}, 2, "usage", {"in: is empty"}},
      {{"predict", photo, "--model", ""}, 2, "usage", {"--model: is empty"}},
      {{"predict", photo, "", "--model", model}, 2, "usage", {"images: is empty"}},
      {{"convert", model, model}, 2, "invalid_argument", {"both input and output"}},
      {{"convert", model, "out.pth"}, 2, "invalid_argument", {"out.pth", ".safetensors"}},
      {{"convert", "missing.pth", "out.safetensors"}, 1, "not_found", {"missing.pth"}},
      {{"convert", model, "/no/such/folder/out.safetensors"}, 1, "not_found", {"/no/such/folder"}},
      {{"validate", photo, "--model", model, "--sheet", "/no/such/folder/s.png"},
       1,
       "not_found",
       {"/no/such/folder/s.png"}},
      {{"predict", photo, "--model", model, "--results-file", fs::path(model).parent_path()},
       1,
       "io",
       {"a folder"}},
      {{"predict", photo, "--results-format", "csv"}, 2, "usage", {"--results-file"}},
      {{"predict", photo, "--model", model, "--results-file", "r.txt"},
       2,
       "invalid_argument",
       {"r.txt", "--results-format"}},
      {{"validate", photo, "--model", model, "--sheet", "s.jpg"},
       2,
       "invalid_argument",
       {"s.jpg", ".png"}},
      {{"validate", photo, "--model", model}, 1, "not_found", {"coffee.png: is not a folder"}},
      {{"forward", "--model", model, "--input", "x"}, 2, "usage", {"--output"}},
      {{"forward", "--model", model, "--input", junk, "--output", junk},
       2,
       "invalid_argument",
       {"junk.safetensors", "both input and output"}},
      {{"forward", "--model", model, "--input", junk, "--output", model},
       2,
       "invalid_argument",
       {"m.safetensors", "both input and output"}},
      {{"forward", "--precision", "fp8", "--input", "x", "--output", "y"},
       2,
       "usage",
       {"--precision"}},
  };
  for (const Failing& failing : cases) {
    std::vector<std::string> arguments = failing.arguments;
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Outcome text = run(arguments);
    EXPECT_EQ(text.code, failing.code) << text.err;
    EXPECT_EQ(text.out, "");
    EXPECT_THAT(text.err, StartsWith("asmlp: error: "));
    for (const std::string& part : failing.message) EXPECT_THAT(text.err, HasSubstr(part));

    arguments.push_back("--json");
    const Outcome json = run(arguments);
    EXPECT_EQ(json.code, failing.code);
    EXPECT_THAT(json.err, StartsWith("asmlp: error: "));
    ASSERT_TRUE(Json::accept(json.out)) << json.out;
    EXPECT_EQ(json.json()["error"]["code"], failing.error_code);
    EXPECT_THAT(json.err, HasSubstr(json.json()["error"]["message"].get<std::string>()));
  }
  EXPECT_FALSE(fs::exists("out.pth"));
}

TEST(Errors, AForcedIsaThatDoesNotExistIsNamed) {
  const Outcome outcome = run({"info", "--cpu"}, {.environment = {"ASMLP_ISA=mmx"}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("ASMLP_ISA=mmx"));
}

TEST(Output, AReaderThatHasGoneEndsTheCommandQuietly) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const Outcome outcome = run({"info"}, {.out_fd = ends[1]});
  ::close(ends[1]);
  EXPECT_EQ(outcome.code, 128 + SIGPIPE);
  EXPECT_EQ(outcome.err, "");
}

TEST(Output, AFullDiskIsAnError) {
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "no /dev/full";
  for (const char* word : {"info", "--help", "--version"}) {
    const Outcome outcome = run({word}, {.out_fd = full});
    EXPECT_EQ(outcome.code, 1) << word;
    EXPECT_THAT(outcome.err, HasSubstr("standard output")) << word;
  }
  ::close(full);
}

// A copy of the command in a folder of its own, as if installed without LibTorch.
class Alone : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_.path() / "bin");
    fs::copy_file(ASMLP_BIN, program());
  }
  fs::path program() const { return folder_.path() / "bin" / "asmlp"; }
  Outcome run_alone(const std::vector<std::string>& arguments) const {
    return run(arguments, {.program = program(), .environment = {"PATH=/nonexistent"}});
  }
  TemporaryFolder folder_;
};

TEST_F(Alone, WithoutAsmlpTorchTheErrorSaysWhatNeedsItAndHowToGetIt) {
  const std::string detector = data("downstream/mmdet.pth"),
                    segmentor = data("downstream/mmseg.pth");
  const std::string coco = (folder_.path() / "coco").string();
  fs::create_directories(coco + "/annotations");
  std::ofstream(coco + "/annotations/instances_val2017.json") << "{}";
  const std::vector<std::pair<std::string, std::vector<std::string>>> torch_commands{
      {"`train`", {"train", "recipe.yaml"}},
      {"`train`", {"train", "--help"}},
      {"`train`", {"help", "train"}},
      {"`bench --train`", {"bench", "--train"}},
      {"`--backend torch`", {"detect", "photo.png", "--backend", "torch"}},
      {"`--backend torch`", {"segment", "photo.png", "--backend=torch"}},
      {"`--backend torch`", {"validate", coco, "--backend", "torch"}},
      {"`--backend torch`", {"validate", "data", "--model", detector, "--backend", "torch"}},
      {"`--backend torch`", {"validate", "data", "-m", segmentor, "--backend", "torch"}},
      {"`--backend torch`", {"bench", "--task", "detect", "--backend", "torch"}},
      {"`--backend torch`", {"bench", "--model", "upernet_asmlp_tiny", "--backend", "torch"}},
      {"`--backend torch`", {"validate", "data", "--backend", "torch"}},
      {"`--backend torch`", {"forward", "--backend=torch", "--input", "x", "--output", "y"}}};
  for (const auto& [what, arguments] : torch_commands) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Outcome outcome = run_alone(arguments);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("asmlp: error: " + what + " needs the program asmlp-torch"));
    EXPECT_THAT(outcome.err, HasSubstr("cmake --preset release"));
    EXPECT_THAT(outcome.err, HasSubstr(program().parent_path().string()));
  }
}

TEST_F(Alone, AsmlpTorchBesideItGetsTheArgumentsAndGivesTheExitCode) {
  const fs::path torch = folder_.path() / "bin" / "asmlp-torch";
  std::ofstream(torch) << "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\nexit 7\n";
  fs::permissions(torch, fs::perms::owner_all);
  const Outcome outcome = run_alone({"validate", "my data", "--backend", "torch", "--limit=1"});
  EXPECT_EQ(outcome.code, 7);
  EXPECT_EQ(outcome.out,
            "<validate>\n<--task=classify>\n<my data>\n<--backend>\n<torch>\n<--limit=1>\n");
  // What asmlp-torch alone knows it gets as it is, --help included.
  EXPECT_EQ(run_alone({"train", "my data", "--help"}).out, "<train>\n<my data>\n<--help>\n");
  EXPECT_EQ(run_alone({"help", "train"}).out, "<train>\n<--help>\n");
  EXPECT_EQ(run_alone({"info"}).code, 0);  // what needs no LibTorch stays here
}

TEST_F(Alone, TheBundledModelIsFoundAndNamed) {
  const std::string photo = data("photos/coffee.png");
  const Outcome without = run_alone({"predict", photo});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, HasSubstr("--model"));
  for (const char* place : {"models", "share/asmlp/models"}) {
    fs::create_directories(folder_.path() / place);
    const std::string model = write_model(folder_.path() / place / "bundled.safetensors");
    const Outcome with = run_alone({"predict", photo, "--json"});
    EXPECT_EQ(with.code, 0) << with.err;
    EXPECT_THAT(with.err, HasSubstr(model));
    EXPECT_EQ(with.json()["model"]["file"], model);
    fs::remove(model);
  }
  const std::string elsewhere = folder_.path() / "elsewhere";
  fs::create_directories(elsewhere);
  const std::string model = write_model(elsewhere + "/x.safetensors");
  const Outcome named =
      run({"predict", photo, "--json"},
          {.program = program(), .environment = {"ASMLP_MODEL_DIR=" + elsewhere}});
  EXPECT_EQ(named.json()["model"]["file"], model);
}

}  // namespace
}  // namespace asmlp::test::cli_usage_test
