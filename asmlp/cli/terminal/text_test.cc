// Tables, digits, CSV and the progress bar.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <sstream>

#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/report/table.h"

namespace asmlp::cli::text_test {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCellInCodePoints) {
  Table table({{"class"}, {"share", Align::kRight}});
  table.add_row({"Gr\u00f6\u00dfe", "1"});
  table.add_row({"a longer name", "100.00"});
  EXPECT_EQ(table.str(1),
            " class           share\n"
            " -------------  ------\n"
            " Gr\u00f6\u00dfe               1\n"
            " a longer name  100.00\n");
}

TEST(Table, WithoutTitlesThereIsNoHeaderAndNoTrailingSpace) {
  Table table({{}, {}});
  table.add_row({"a", "x"});
  table.add_row({"long", ""});
  EXPECT_EQ(table.str(), "a     x\nlong\n");
  EXPECT_THROW(table.add_row({"one"}), Error);
}

TEST(Text, TruncatedNeverExceedsTheWidthNorCutsACodePoint) {
  const std::string text = "a\u00e9\u6f22\U0001f600zz\u00e9";
  for (int width = 0; width <= 10; ++width) {
    const std::string cut = truncated(text, width);
    EXPECT_LE(display_width(cut), width);
    if (width >= display_width(text)) {
      EXPECT_EQ(cut, text);
    } else if (width > 0) {
      ASSERT_TRUE(cut.ends_with("\u2026")) << width;
      EXPECT_TRUE(text.starts_with(cut.substr(0, cut.size() - 3)));
      EXPECT_EQ(display_width(cut), width);
    }
  }
}

TEST(Text, GroupedDigitsReadBackAsTheNumber) {
  EXPECT_EQ(group_digits(0), "0");
  EXPECT_EQ(group_digits(999), "999");
  EXPECT_EQ(group_digits(-1000), "-1,000");
  EXPECT_EQ(group_digits(28282696), "28,282,696");
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const int64_t value = static_cast<int64_t>(random()) >> (random() % 64);
    std::string digits = group_digits(value);
    std::erase(digits, ',');
    EXPECT_EQ(digits, std::to_string(value));
  }
}

TEST(Text, Bytes) {
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(4'600'000), "4.6 MB");
  EXPECT_EQ(format_bytes(330e9), "330 GB");
}

// RFC 4180, read back by the shortest reader there is.
std::vector<std::string> parse_csv(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i + 1 < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && line[i + 1] == '"') {
        cells.back() += line[i++];
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  return cells;
}

TEST(Text, CsvReadsBack) {
  const std::vector<std::string> cells{"plain", "a,b", "say \"x\"", "two\nlines", "", "\""};
  EXPECT_EQ(parse_csv(csv_line(cells)), cells);
}

TEST(Progress, ElsewhereThanOnATerminalItPrintsOneLinePerTenthAndTheEnd) {
  std::ostringstream out;
  {
    Progress progress("train", 1000, "images", {&out, false, 80});
    for (int i = 1; i <= 1000; ++i) progress.update(i, "loss 0.5");
    progress.print("a warning");
    progress.finish("loss 0.25");
    progress.finish("ignored");
    progress.update(1000);
  }
  std::vector<std::string> lines;
  std::istringstream text(out.str());
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 11u) << out.str();
  for (int tenth = 1; tenth <= 9; ++tenth) {
    EXPECT_THAT(
        lines[static_cast<size_t>(tenth - 1)],
        testing::StartsWith(fmt::format("train: {}/1000 ({}%), ", tenth * 100, tenth * 10)));
    EXPECT_THAT(lines[static_cast<size_t>(tenth - 1)], testing::EndsWith(" left, loss 0.5"));
  }
  EXPECT_EQ(lines[9], "a warning");
  EXPECT_THAT(lines[10], testing::StartsWith("train: 1000/1000 (100%), "));
  EXPECT_THAT(lines[10], testing::EndsWith(", loss 0.25"));
  EXPECT_EQ(out.str().find('\r'), std::string::npos);
  EXPECT_EQ(out.str().find('\x1b'), std::string::npos);
}

TEST(Progress, OnATerminalEveryStateFitsTheWidthAndWarningsStandAlone) {
  for (int columns : {10, 20, 40, 80, 200}) {
    std::ostringstream out;
    {
      Progress progress("validate", 12345, "images", {&out, true, columns});
      progress.update(1, "Acc@1 10.00");
      progress.print("a warning");
      progress.update(12345, "Acc@1 93.12");
      progress.finish();
    }
    std::istringstream lines(out.str());
    bool warned = false;
    for (std::string line; std::getline(lines, line);) {
      const size_t last = line.rfind("\x1b[2K");
      const std::string visible = last == std::string::npos ? line : line.substr(last + 4);
      EXPECT_LT(display_width(visible), columns) << visible;
      warned = warned || visible == "a warning";
    }
    EXPECT_TRUE(warned) << columns;
    EXPECT_TRUE(out.str().ends_with('\n'));
  }
}

// What is seen of a bar that has been drawn once.
std::string drawn(const std::string& label, int64_t done, int64_t total, const std::string& details,
                  bool terminal, int columns) {
  std::ostringstream out;
  {
    Progress progress(label, total, "images", {&out, terminal, columns});
    progress.update(done, details);
  }
  std::string text = out.str();
  if (text.ends_with('\n')) text.pop_back();
  const size_t last = text.rfind("\x1b[2K");
  return last == std::string::npos ? text : text.substr(last + 4);
}

// The bar of a training run took 118 columns, of which the last were cut off.
TEST(Progress, TheLongestLinesFitEightyColumnsWithTheirDetails) {
  const std::string training = "loss 6.9873 lr 1.00e-03 ETA 100:00:00 skipped 123 bad 1234";
  const std::string accuracy = "top-1 100.00 % top-5 100.00 %";
  for (const std::string& line : {drawn("epoch 300/300", 1281167, 1281168, training, true, 80),
                                  drawn("validate", 1281167, 1281168, accuracy, true, 80),
                                  drawn("validate", 1281167, 1281168, accuracy, false, 80)}) {
    EXPECT_LE(display_width(line), 80) << line;
    EXPECT_THAT(line, testing::EndsWith(line.starts_with("epoch") ? training : accuracy));
    EXPECT_THAT(line, testing::HasSubstr("99%"));
  }
  // On a narrower one the end is cut.
  const std::string narrow = drawn("epoch 300/300", 1, 2, training, true, 40);
  EXPECT_EQ(display_width(narrow), 39);
  EXPECT_TRUE(narrow.ends_with("\u2026"));
}

TEST(Progress, TheWidthIsThatOfTheEnvironment) {
  const char* before = std::getenv("COLUMNS");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("COLUMNS", "57", 1);
  EXPECT_EQ(ProgressStyle::detect().columns, 57);
  ::unsetenv("COLUMNS");
  const int own = ProgressStyle::detect().columns;
  for (const char* text : {"", "0", "wide", "-3"}) {
    ::setenv("COLUMNS", text, 1);
    EXPECT_EQ(ProgressStyle::detect().columns, own) << text;
  }
  kept.empty() ? ::unsetenv("COLUMNS") : ::setenv("COLUMNS", kept.c_str(), 1);
}

TEST(Text, TheFirstLineThatFits) {
  EXPECT_EQ(first_fitting({"longest", "long", "l"}, 7), "longest");
  EXPECT_EQ(first_fitting({"longest", "long", "l"}, 6), "long");
  EXPECT_EQ(first_fitting({"longest", "long"}, 1), "long");
}

TEST(Progress, AnUnfinishedBarEndsItsLine) {
  std::ostringstream out;
  { Progress("x", 10, "things", {&out, true, 80}).update(3); }
  EXPECT_TRUE(out.str().ends_with('\n'));
}

TEST(Progress, Durations) {
  EXPECT_EQ(format_duration(0), "00:00");
  EXPECT_EQ(format_duration(16.4), "00:16");
  EXPECT_EQ(format_duration(3599.6), "1:00:00");
  EXPECT_EQ(format_duration(-1), "--:--");
  EXPECT_EQ(format_duration(INFINITY), "--:--");
}

// --quiet: nothing of the bar, on a terminal or not; what is said above it stays.
TEST(Progress, AQuietOneSaysErrorsOnly) {
  for (const bool terminal : {false, true}) {
    std::ostringstream out;
    {
      Progress progress("validate", 10, "images",
                        {.out = &out, .terminal = terminal, .quiet = true});
      for (int done = 1; done <= 10; ++done) progress.update(done, "Acc@1 93.12");
      progress.print("asmlp: error: broken.jpg");
      progress.finish();
    }
    EXPECT_EQ(out.str(), "asmlp: error: broken.jpg\n");
  }
}

}  // namespace
}  // namespace asmlp::cli::text_test
