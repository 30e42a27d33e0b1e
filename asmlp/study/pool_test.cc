// The processes of a study: where they stand, how they end.
#include "asmlp/study/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/study/child.h"
#include "asmlp/study/folder.h"
#include "tests/support/support.h"

namespace asmlp::study::pool_test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

TEST(StudyChild, PositionIsTheLastStepLineOfTheLog) {
  const test::TemporaryFolder folder;
  const fs::path log = folder.path() / "train.log";
  EXPECT_EQ(read_position(log).steps, 0);
  std::ofstream(log) << "asmlp-torch: note: 12 parameters\n"
                     << std::string(10000, 'x') << "\nepoch 1/4 step 24/24 9 img/s\n"
                     << "epoch 1/4  loss 0.5  lr 2e-3\nepoch 2/4 step 3/24 8 img/s loss 1\nnote\n";
  EXPECT_EQ(read_position(log).step, 27);
  EXPECT_EQ(read_position(log).steps, 96);
}

TEST(StudyPool, RunsAllNotesCodesAndStopsAtTheDeadline) {
  const test::TemporaryFolder folder;
  const auto job = [&](const std::string& name, const std::string& script, auto note) {
    StudyJob made;
    made.arguments = {"-c", script};
    made.out = folder.path() / (name + ".out");
    made.log = folder.path() / (name + ".log");
    made.finished = note;
    return made;
  };
  std::vector<int> codes;
  const auto note = [&](const StudyChild& child) { codes.push_back(child.code()); };
  std::vector<StudyJob> jobs;
  for (int code : {0, 3, 0, 5}) {
    jobs.push_back(job(std::to_string(jobs.size()),
                       "echo out; echo err >&2; exit " + std::to_string(code), note));
  }
  jobs.push_back(job("killed", "kill -9 $$", note));
  EXPECT_EQ(run_pool("/bin/sh", jobs, 2, std::nullopt, nullptr), PoolEnd::kDone);
  EXPECT_THAT(codes, testing::UnorderedElementsAre(0, 3, 0, 5, 137));
  EXPECT_EQ(read_file(folder.path() / "0.out"), "out\n");
  EXPECT_EQ(read_file(folder.path() / "0.log"), "err\n");
  EXPECT_EQ(failure_of(folder.path() / "1.out", folder.path() / "1.log", 3),
            "ended with code 3; its log ends with: err");

  // Asked to stop, a process may end in its own way; one that was not started yet is not.
  codes.clear();
  const std::vector<StudyJob> patient{
      job("a", "trap 'kill $!; exit 7' TERM; sleep 60 & wait", note), job("b", "exit 1", note)};
  EXPECT_EQ(
      run_pool("/bin/sh", patient, 1, StudyClock::now() + std::chrono::milliseconds(300), nullptr),
      PoolEnd::kOutOfTime);
  EXPECT_THAT(codes, ElementsAre(7));
  codes.clear();
  EXPECT_EQ(run_pool("/nowhere", {job("c", "", note)}, 1, std::nullopt, nullptr), PoolEnd::kDone);
  EXPECT_THAT(codes, ElementsAre(127));
}

}  // namespace
}  // namespace asmlp::study::pool_test
