#include "asmlp/core/files/file_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::file_lock_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

int no_locks(int, int) {
  errno = ENOLCK;
  return -1;
}

using FlockCall = int (*)(int, int);
constexpr FlockCall kFlocks[] = {::flock, no_locks};

LockRequest request_of(FlockCall flock = ::flock) {
  LockRequest request;
  request.holder = "a training run";
  request.command = "asmlp train --output here";
  request.advice = "wait for it";
  request.flock = flock;
  request.silence = 800ms;
  return request;
}

std::string refusal(const fs::path& folder, const LockRequest& request) {
  return test::error_of(ErrorCode::kIo, [&] { FolderLock lock(folder, request); });
}

// A lock file as a process of another machine leaves it.
void write_foreign(const fs::path& folder) {
  std::ofstream(folder / FolderLock::kFile)
      << "host: far\nboot: another\nprocess: 4711\nstart: 7\ntime: then\ncommand: asmlp train x\n";
}

TEST(FolderLock, HasOneHolderAtATimeAndLeavesNothing) {
  const test::TemporaryFolder temporary;
  const fs::path folder = temporary.path() / "new" / "run";
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  for (const FlockCall flock : kFlocks) {
    {
      const FolderLock lock(folder, request_of(flock));
      const std::string message = refusal(folder, request_of(flock));
      EXPECT_THAT(message, HasSubstr(folder.string() + ": a training run"));
      EXPECT_THAT(message, HasSubstr(fmt::format("process {} on {}", ::getpid(), host)));
      EXPECT_THAT(message, HasSubstr("asmlp train --output here"));
      EXPECT_THAT(message, HasSubstr("wait for it"));
    }
    EXPECT_FALSE(fs::exists(folder)) << "an unused folder stays";
  }
  fs::create_directories(folder);
  { const FolderLock lock(folder, request_of()); }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(FolderLock, IsTakenOverFromAProcessThatIsGone) {
  const test::TemporaryFolder folder;
  for (const FlockCall flock : kFlocks) {
    const pid_t child = ::fork();
    if (child == 0) {
      const FolderLock lock(folder.path(), request_of(flock));
      ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(fs::exists(folder.path() / FolderLock::kFile));
    std::string note;
    LockRequest request = request_of(flock);
    request.on_taken_over = [&](const std::string& text) { note = text; };
    { const FolderLock lock(folder.path(), request); }
    EXPECT_THAT(note, HasSubstr("process " + std::to_string(child)));
    EXPECT_TRUE(fs::is_empty(folder.path()));
  }
}

// Also where flock(2) gives the lock, because it knows the processes of one machine only.
TEST(FolderLock, AnotherMachineLivesAsLongAsItTouchesTheFile) {
  const test::TemporaryFolder folder;
  for (const FlockCall flock : kFlocks) {
    write_foreign(folder.path());
    {
      std::atomic<bool> over = false;
      std::thread far([&] {
        while (!over) {
          ::utimensat(AT_FDCWD, (folder.path() / FolderLock::kFile).c_str(), nullptr, 0);
          std::this_thread::sleep_for(100ms);
        }
      });
      EXPECT_THAT(refusal(folder.path(), request_of(flock)), HasSubstr("process 4711 on far"));
      over = true;
      far.join();
    }
    // It dies now: it takes a while until that is certain.
    const auto start = std::chrono::steady_clock::now();
    { const FolderLock lock(folder.path(), request_of(flock)); }
    EXPECT_GE(std::chrono::steady_clock::now() - start, 500ms);
    // It died long ago.
    write_foreign(folder.path());
    const timespec old[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    ::utimensat(AT_FDCWD, (folder.path() / FolderLock::kFile).c_str(), old, 0);
    const auto again = std::chrono::steady_clock::now();
    { const FolderLock lock(folder.path(), request_of(flock)); }
    EXPECT_LT(std::chrono::steady_clock::now() - again, 700ms);
  }
}

TEST(FolderLock, OfManyThatComeAtOnceOneGetsIt) {
  for (const FlockCall flock : kFlocks) {
    const test::TemporaryFolder folder;
    std::vector<pid_t> children;
    for (int k = 0; k < 6; ++k) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      int code = 1;
      try {
        const FolderLock lock(folder.path(), request_of(flock));
        std::this_thread::sleep_for(2s);
        code = 0;
      } catch (const Error&) {
      }
      ::_exit(code);
    }
    int holders = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      holders += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : 0;
    }
    EXPECT_EQ(holders, 1);
  }
}

TEST(FolderLock, WaitsWithPatienceUntilItIsFreeOrShallGiveUp) {
  const test::TemporaryFolder folder;
  auto first = std::make_unique<FolderLock>(folder.path(), request_of());
  LockRequest request = request_of();
  std::string told;
  request.patience = 60s;
  request.on_wait = [&](const std::string& text) { told += text; };
  request.give_up = [] { return true; };
  test::error_of(ErrorCode::kInterrupted, [&] { FolderLock lock(folder.path(), request); });
  request.give_up = nullptr;
  std::thread end([&] {
    std::this_thread::sleep_for(600ms);
    first.reset();
  });
  const FolderLock second(folder.path(), request);
  end.join();
  EXPECT_THAT(told, HasSubstr("waiting"));
  EXPECT_THAT(refusal(folder.path(), request_of()), HasSubstr("process"));
}

TEST(FolderLock, SaysWhyItCannotWrite) {
  if (::getuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const test::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(refusal(folder.path(), request_of()), HasSubstr("Permission denied"));
  EXPECT_THAT(refusal(folder.path() / "run", request_of()), HasSubstr("Permission denied"));
  fs::permissions(folder.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace asmlp::file_lock_test
