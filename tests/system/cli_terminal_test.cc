// What reaches the terminal: names from files show as text, streams that are closed or full end the
// command as other commands do.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "asmlp/image/encode.h"
#include "tests/support/command.h"

namespace asmlp::test::cli_terminal_test {
namespace {

using testing::HasSubstr;

// Everything that a terminal obeys, or that breaks a line.
const std::string kHostile =
    "n\x1b[2J\x07\r\nasmlp: error: forged\t\xc2\x9b"
    "31m\xe2\x80\xae\x7f";

// Nothing of kHostile is there as it is: no control character but line ends, no line that it began.
void expect_harmless(std::string_view text, const std::string& what) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    EXPECT_TRUE(byte >= 0x20 || c == '\n') << what << ": byte " << int{byte};
    EXPECT_NE(byte, 0x7f) << what;
  }
  EXPECT_EQ(text.find("\xc2\x9b"), text.npos) << what << ": " << text;
  EXPECT_EQ(text.find("\xe2\x80\xae"), text.npos) << what << ": " << text;
  EXPECT_EQ(text.find("\nasmlp: error: forged"), text.npos) << what << ": " << text;
}

class Terminal : public testing::Test {
 protected:
  Terminal() {
    Checkpoint checkpoint;
    checkpoint.spec.name = kHostile;
    Config& config = checkpoint.spec.config;
    config.num_classes = 3;
    config.embed_dim = 8;
    config.depths = {1, 1};
    checkpoint.spec.preprocessing = default_preprocessing(config, 32);
    for (int k = 0; k < 3; ++k) {
      checkpoint.spec.classes.push_back(std::to_string(k) + kHostile);
      const fs::path file = data() / "val" / (std::to_string(k) + kHostile) / (kHostile + ".png");
      fs::create_directories(file.parent_path());
      write_png(file, Image(40, 40, 3));
      pictures_.push_back(file);
    }
    checkpoint.tensors = fill_parameters(config);
    checkpoint.spec.origin[kHostile] = kHostile;
    save_checkpoint(model(), checkpoint);
  }
  fs::path data() const { return folder_.path() / ("data" + kHostile); }
  fs::path model() const { return folder_.path() / ("m" + kHostile + ".safetensors"); }
  // By the shell, after which $0 is the command.
  static Outcome shell(const std::string& line, const std::vector<std::string>& words = {}) {
    std::vector<std::string> arguments{"-c", line, ASMLP_BIN};
    arguments.insert(arguments.end(), words.begin(), words.end());
    return run(arguments, {.program = "/bin/sh"});
  }

  TemporaryFolder folder_;
  std::vector<fs::path> pictures_;
};

TEST_F(Terminal, NamesFromFilesAreShownAndNotObeyed) {
  const std::string m = model(), broken = folder_.path() / (kHostile + ".jpg");
  std::ofstream(broken) << "no picture";
  const std::string bad_bytes = folder_.path() / "\x9b\xff\x1b.jpg";
  std::ofstream(bad_bytes) << "no picture";
  const std::string config = folder_.path() / "c.yaml", json = folder_.path() / "c.json";
  std::ofstream(config) << "\"k\\e[2J\\a\\nasmlp: error: forged\": 1\n";
  std::ofstream(json) << R"({"k\u001b[2J\u0007\nasmlp: error: forged\u009b\u202e": 1})";
  const std::vector<std::vector<std::string>> lines{
      {"info", m},
      {"info", m, "--params"},
      {"info", config},
      {"info", json},
      {"info", broken},
      {"predict", "-m", m, pictures_[0], broken, bad_bytes, "/none/" + kHostile},
      {"predict", "-m", m, pictures_[0], "--cam", folder_.path() / ("cam" + kHostile)},
      {"validate", "-m", m, data(), "--confusion"},
      {"validate", "-m", m, data(), "--split", kHostile},
      {"validate", "-m", broken, data()},
      {"convert", m, folder_.path() / (kHostile + "out.safetensors")},
      {"convert", m, folder_.path() / kHostile},
      {"dataset", "shards", data(), folder_.path() / ("shards" + kHostile), "--split", "val"},
      {"dataset", "index", folder_.path() / kHostile},
      {"bench", "--plot", folder_.path() / "p.png", "--from", broken},
      {"study", config},
      {kHostile},
      {"info", "--" + kHostile},
      {"info", m, "--img-size", kHostile},
      {"info", m, "--config", kHostile}};
  for (const std::vector<std::string>& line : lines) {
    const Outcome text = run(line);
    const std::string what = fmt::format("{}", line[0]);
    EXPECT_FALSE(text.out.empty() && text.err.empty()) << what;
    expect_harmless(text.out, what + " out");
    expect_harmless(text.err, what + " err");
    std::vector<std::string> with_json = line;
    with_json.push_back("--json");
    const Outcome document = run(with_json);
    expect_harmless(document.out, what + " --json");
    expect_harmless(document.err, what + " --json err");
    if (!document.out.empty()) {
      EXPECT_TRUE(document.json().is_object()) << what;
    }
  }
  // JSON says what the name is.
  const Outcome info = run({"info", m, "--json"});
  EXPECT_EQ(info.json()["model"]["classes"][0], "0" + kHostile);
}

TEST_F(Terminal, AMissingStreamTakesNoFileInItsPlace) {
  const std::string m = model(), out = folder_.path() / "out.safetensors";
  EXPECT_EQ(shell("\"$0\" info \"$1\" >&-", {m}).code, 1);
  EXPECT_THAT(shell("\"$0\" info \"$1\" >&-", {m}).err, HasSubstr("standard output"));
  EXPECT_EQ(shell("\"$0\" info \"$1\" 2>&-", {m}).code, 0);
  EXPECT_EQ(shell("\"$0\" predict -m \"$1\" \"$2\" <&- 2>&-", {m, pictures_[0]}).code, 0);
  EXPECT_THAT(shell("\"$0\" predict -m \"$1\" - <&-", {m}).err,
              HasSubstr("standard input: cannot read"));
  // The command says something while the file is open.
  EXPECT_EQ(shell("\"$0\" convert \"$1\" \"$2\" <&- >&- 2>&-", {m, out}).code, 1);
  EXPECT_EQ(run({"info", out}).code, 0);
  EXPECT_EQ(shell("\"$0\" info /none 2>&-").code, 1);
  EXPECT_EQ(shell("\"$0\" info /none 2>/dev/full").code, 1);
}

TEST_F(Terminal, AReaderThatGoesEndsEveryOutputInTheSameWay) {
  for (const char* line : {"info", "help --man", "--help", "--version", "info --json",
                           "help --completion bash", "predict -m \"$1\" \"$2\" --json"}) {
    const Outcome outcome =
        shell(fmt::format("{{ \"$0\" {}; echo $? >&2; }} | true", line), {model(), pictures_[0]});
    // It may have written all before `true` had ended.
    EXPECT_THAT(outcome.err, testing::AnyOf("141\n", "0\n")) << line;
  }
}

TEST_F(Terminal, NumbersHaveAPointInEveryLocale) {
  for (const char* locale : {"C", "de_DE.UTF-8", "tr_TR.UTF-8"}) {
    const std::string all = fmt::format("LC_ALL={}", locale);
    const Outcome info = run({"info", "--json", model()}, {.environment = {all}});
    EXPECT_EQ(info.out, run({"info", "--json", model()}).out) << locale;
    EXPECT_EQ(run({"bench", "--runs", "1,5"}, {.environment = {all}}).code, 2) << locale;
  }
}

}  // namespace
}  // namespace asmlp::test::cli_terminal_test
