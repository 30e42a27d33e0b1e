#include "asmlp/core/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <ostream>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/core/growing_folder.h"
#include "tests/support/support.h"

namespace asmlp::test::atomic_file_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Runs `body` in a child, as an ordinary user where this process is root; true when it returned
// true there.
bool as_user(const std::function<bool()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool user = ::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0);
    bool good = false;
    try {
      good = user && body();
    } catch (const std::exception&) {
    }
    ::_exit(good ? 0 : 1);
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class OutputFile : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  static void write(const fs::path& path, const std::string& text) {
    write_file_atomically(path, [&](std::ostream& out) { out << text; });
  }
  static std::string error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  int entries() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
  // A process id that no process has.
  static pid_t dead_pid() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    ::waitpid(pid, nullptr, 0);
    return pid;
  }
  TemporaryFolder folder_;
};

TEST_F(OutputFile, LinksStayAndTheirTargetsAreReplaced) {
  fs::create_directory(path("far"));
  write(path("far/target"), "old");
  fs::create_symlink("far/target", path("link"));
  fs::create_symlink("link", path("second"));
  write(path("second"), "new");
  EXPECT_TRUE(fs::is_symlink(path("second")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_file(path("far/target")), "new");
  fs::create_symlink("far/made", path("dangling"));
  write(path("dangling"), "made");
  EXPECT_TRUE(fs::is_symlink(path("dangling")));
  EXPECT_EQ(read_file(path("far/made")), "made");
  fs::create_symlink("loop", path("loop"));
  EXPECT_THAT(error_of([&] { write(path("loop"), "x"); }), HasSubstr("loop"));
}

TEST_F(OutputFile, ModesAreKeptAndNewFilesHaveTheUmasks) {
  const mode_t before = ::umask(027);
  write(path("new"), "x");
  write(path("old"), "x");
  fs::permissions(path("old"), fs::perms(0604));
  write(path("old"), "y");
  ::umask(before);
  EXPECT_EQ(mode_of(path("new")), mode_t{0640});
  EXPECT_EQ(mode_of(path("old")), mode_t{0604});
}

TEST_F(OutputFile, PipesAndDevicesAreWrittenThrough) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = read_file(path("pipe")); });
  write(path("pipe"), std::string(200'000, 'x'));
  reader.join();
  EXPECT_EQ(got.size(), 200'000u);
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  write("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_THAT(error_of([] { write("/dev/full", std::string(1 << 20, 'x')); }),
              HasSubstr("/dev/full: cannot write: No space left on device"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(OutputFile, ADescriptorIsWrittenWhereItStands) {
  std::FILE* file = std::fopen(path("redirected").c_str(), "w");
  std::fputs("before ", file);
  std::fflush(file);
  write(fmt::format("/dev/fd/{}", ::fileno(file)), "through");
  std::fputs(" after", file);
  std::fclose(file);
  EXPECT_EQ(read_file(path("redirected")), "before through after");
}

TEST_F(OutputFile, TheReasonIsTold) {
  EXPECT_THAT(error_of([&] { write(path("none/x"), ""); }), HasSubstr("there is no folder"));
  EXPECT_THAT(error_of([&] { write(folder_.path(), ""); }), HasSubstr("a folder, not a file"));
  write(path("file"), "");
  EXPECT_THAT(error_of([&] { write(path("file/x"), ""); }), HasSubstr("Not a directory"));
  EXPECT_THAT(error_of([&] { write(path(std::string(300, 'x')), ""); }),
              HasSubstr("File name too long"));
  write(path(std::string(255, 'x')), "fits");
  EXPECT_EQ(read_file(path(std::string(255, 'x'))), "fits");
}

TEST_F(OutputFile, AnOrdinaryUserReadsPermissionDenied) {
  fs::create_directory(path("closed"));
  write(path("closed/file"), "old");
  fs::permissions(path("closed/file"), fs::perms(0444));
  fs::permissions(path("closed"), fs::perms(0555));
  fs::permissions(folder_.path(), fs::perms(0755));
  EXPECT_TRUE(as_user([&] {
    const std::string fresh = error_of([&] { check_writable(path("closed/r.csv")); });
    const std::string old = error_of([&] { write(path("closed/file"), "new"); });
    return fresh.ends_with("Permission denied") && old.ends_with("Permission denied");
  }));
  EXPECT_EQ(read_file(path("closed/file")), "old");
  fs::permissions(path("closed"), fs::perms(0755));
}

TEST_F(OutputFile, AFullDiskLeavesTheOldFileAndNoTemporaryOne) {
  write(path("file"), "old");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string why = error_of([&] { write(path("file"), std::string(100'000, 'x')); });
    ::_exit(why.ends_with("cannot write: File too large") ? 0 : 1);
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(path("file")), "old");
  EXPECT_EQ(entries(), 1);
}

TEST_F(OutputFile, WhatDeadProcessesLeftIsRemoved) {
  const pid_t dead = dead_pid();
  const std::string suffix = temporary_suffix();  // .tmp.host.pid
  const std::string host = suffix.substr(0, suffix.rfind('.'));
  const std::vector<std::string> gone = {fmt::format("file{}.{}.0", host, dead),
                                         fmt::format("file.tmp.{}.3", dead)};
  const std::vector<std::string> stay = {fmt::format("file{}.7", suffix),
                                         fmt::format("file.tmp.elsewhere.{}.0", dead),
                                         fmt::format("other{}.{}.0", host, dead), "file.tmp.mine",
                                         fmt::format("file.tmp.{}.0.txt", dead)};
  for (const auto* names : {&gone, &stay}) {
    for (const std::string& name : *names) std::ofstream(path(name)) << "part";
  }
  write(path("file"), "new");
  for (const std::string& name : gone) EXPECT_FALSE(fs::exists(path(name))) << name;
  for (const std::string& name : stay) EXPECT_TRUE(fs::exists(path(name))) << name;
}

TEST_F(OutputFile, AProcessThatNobodyWaitedForIsDead) {
  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  std::ofstream(path(fmt::format("file.tmp.{}.0", zombie))) << "part";
  remove_leftovers(path("file"));
  EXPECT_EQ(entries(), 0);
  ::waitpid(zombie, nullptr, 0);
}

TEST_F(OutputFile, AGrowingFolderAppearsWhole) {
  using Output = GrowingFolder::Output;
  {
    GrowingFolder failed(path("out"), Output::kNew);
    write_growing_file(failed.path() / "part", "x");
  }
  EXPECT_EQ(entries(), 0);
  GrowingFolder whole(path("out"), Output::kNew);
  write_growing_file(whole.path() / "a", "x");
  EXPECT_FALSE(fs::exists(path("out")));
  whole.finish();
  EXPECT_TRUE(fs::exists(path("out/a")));
  EXPECT_THAT(error_of([&] { GrowingFolder(path("out"), Output::kNew); }),
              HasSubstr("exists already"));
  EXPECT_THAT(error_of([&] { GrowingFolder(path("out"), Output::kNewOrEmpty); }),
              HasSubstr("is not empty"));

  fs::create_directories(path("empty"));
  fs::create_directories(path("empty") / fmt::format(".growing.tmp.{}", dead_pid()) / "left");
  {
    GrowingFolder into(path("empty"), Output::kNewOrEmpty);
    write_growing_file(into.path() / "b", "y");
    into.finish();
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(path("empty")), {}), 1);
  EXPECT_EQ(read_file(path("empty/b")), "y");
}

}  // namespace
}  // namespace asmlp::test::atomic_file_test
