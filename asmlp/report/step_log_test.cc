#include "asmlp/report/step_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <random>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::step_log_test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// While it lives, no file may grow past `bytes`: a full disk in small.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(AppendFile, WritesWholePiecesOrNothing) {
  test::TemporaryFolder folder;
  AppendFile file(folder.path() / "log", AppendFile::Open::kCreate);
  EXPECT_THROW(AppendFile(folder.path() / "log", AppendFile::Open::kCreate), Error);
  file.add("0123456789");
  file.flush();
  {
    const FullDisk full(16);
    file.add("abcdefghij");
    for (int i = 0; i < 2; ++i) EXPECT_THROW(file.flush(), Error);
  }
  EXPECT_EQ(read_file(folder.path() / "log"), "0123456789");
  file.add("!");
  file.flush();
  EXPECT_EQ(read_file(folder.path() / "log"), "0123456789abcdefghij!");
}

std::vector<int64_t> steps_of(const std::vector<StepLine>& lines) {
  std::vector<int64_t> steps;
  for (const StepLine& line : lines) steps.push_back(line.step);
  return steps;
}

TEST(StepLog, IsReadBackUpToTheResumedStepAndTheLastWholeLine) {
  test::TemporaryFolder folder;
  const fs::path path = folder.path() / "steps.csv";
  EXPECT_TRUE(read_steps(path).empty());
  {
    StepLog log(path, {});
    for (int64_t s = 10; s <= 50; s += 10) {
      log.add({double(s) / 40, s, s * 8, s == 20 ? NAN : 1.0 / double(s), 1e-3, 2.5, 417.3, 0.1});
    }
    log.flush();
  }
  const std::string whole = read_file(path);
  const auto lines = read_steps(path);
  EXPECT_THAT(steps_of(lines), ElementsAre(10, 20, 30, 40, 50));
  EXPECT_EQ(lines[0].epoch, 0.25);
  EXPECT_EQ(lines[0].images, 80);
  EXPECT_EQ(lines[0].loss, 0.1);
  EXPECT_TRUE(std::isnan(lines[1].loss));
  EXPECT_EQ(lines[4].lr, 1e-3);
  EXPECT_EQ(lines[4].gradient_norm, 2.5);
  EXPECT_EQ(lines[4].images_per_second, 417.3);
  EXPECT_EQ(lines[4].seconds, 0.1);
  EXPECT_THAT(steps_of(read_steps(path, 39)), ElementsAre(10, 20, 30));

  // Cut anywhere: the lines before the cut, and no other.
  for (size_t size = 0; size < whole.size(); size += 3) {
    std::ofstream(path, std::ios::trunc) << whole.substr(0, size);
    const auto count = std::count(whole.begin(), whole.begin() + ptrdiff_t(size), '\n');
    ASSERT_EQ(read_steps(path).size(), size_t(std::max<ptrdiff_t>(count - 1, 0))) << size;
  }
  // Kept lines come out as they were, and new ones behind them.
  StepLog log(path, {lines[0], lines[1]});
  log.add(lines[4]);
  log.flush();
  EXPECT_THAT(steps_of(read_steps(path)), ElementsAre(10, 20, 50));
  EXPECT_TRUE(whole.starts_with(read_file(path).substr(0, read_file(path).find("\n1.25") + 1)));
}

TEST(StepLog, OtherFilesAreNoLines) {
  test::TemporaryFolder folder;
  const fs::path path = folder.path() / "steps.csv";
  std::mt19937 random(7);
  const std::string heading = "epoch,step,images,loss,lr,grad_norm,images_per_second,seconds\n";
  for (const std::string line :
       {"", "1,2", "1,2,3,4,5,6,7,8,9", "1,2,3,4,5,6,7,8,", "a,2,3,4,5,6,7,8", "1,2,3,4,5,6,7,",
        "1,0,3,4,5,6,7,8", "1,2.5,3,4,5,6,7,8"}) {
    std::ofstream(path, std::ios::trunc) << heading << line << '\n';
    EXPECT_TRUE(read_steps(path).empty()) << line;
  }
  for (int i = 0; i < 50; ++i) {
    std::string noise = i % 2 ? heading : "";
    for (int k = 0; k < 60; ++k) noise += "0123456789.,-en\n\xff"[random() % 17];
    std::ofstream(path, std::ios::trunc) << noise;
    int64_t before = 0;
    for (const StepLine& line : read_steps(path))
      EXPECT_GT(line.step, std::exchange(before, line.step));
  }
}

}  // namespace
}  // namespace asmlp::step_log_test
