#include "asmlp/core/input_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::test::input_file_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class InputFileTest : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  fs::path fifo(const std::string& name) const {
    EXPECT_EQ(::mkfifo(path(name).c_str(), 0600), 0);
    return path(name);
  }
  fs::path socket(const std::string& name) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string text = path(name).string();
    if (text.size() >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
    return text;
  }
  template <typename Action>
  static std::string message(const Action& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  TemporaryFolder folder_;
};

TEST_F(InputFileTest, APipeIsReadUntilItsWriterCloses) {
  const fs::path pipe = fifo("pipe");
  const std::string text(300'000, 'x');
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::ofstream(pipe, std::ios::binary) << text;
  });
  const std::string got = read_file(pipe);
  writer.join();
  EXPECT_EQ(got, text);
}

TEST_F(InputFileTest, APipeMapsToWhatComesOutOfIt) {
  const fs::path pipe = fifo("pipe");
  std::thread writer([&] { std::ofstream(pipe) << "weights"; });
  const MappedFile mapped = map_file(pipe);
  writer.join();
  EXPECT_FALSE(mapped.mapped);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped.bytes.data()), mapped.bytes.size()),
            "weights");
}

TEST_F(InputFileTest, APipeWithoutEndIsBounded) {
  const fs::path pipe = fifo("pipe");
  ::signal(SIGPIPE, SIG_IGN);
  std::thread writer([&] {
    std::ofstream out(pipe, std::ios::binary);
    const std::string block(1 << 16, 'x');
    for (int i = 0; i < 200 && out; ++i) out << block << std::flush;
  });
  EXPECT_THAT(message([&] { read_file(pipe, 1000); }), HasSubstr("more than 1000 bytes"));
  writer.join();
}

TEST_F(InputFileTest, ASignalEndsTheWaitingForAWriter) {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;  // as std::signal has it
  ::sigaction(SIGUSR1, &action, &before);
  const fs::path pipe = fifo("pipe");
  const pthread_t reader = ::pthread_self();
  std::atomic<bool> done{false};
  std::thread knocker([&] {
    while (!done) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ::pthread_kill(reader, SIGUSR1);
    }
  });
  EXPECT_THAT(message([&] { read_file(pipe); }), HasSubstr("stopped by a signal"));
  done = true;
  knocker.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(InputFileTest, WhatIsNoRegularFileIsRefusedWhereOnlyThoseAreTaken) {
  EXPECT_THAT(message([&] { read_file(fifo("pipe"), 10, Inputs::kRegular); }),
              HasSubstr("is a named pipe (FIFO), not a regular file"));
  EXPECT_THAT(message([&] { map_file(path("pipe"), Inputs::kRegular); }), HasSubstr("named pipe"));
}

TEST_F(InputFileTest, DevicesFoldersAndSocketsAreRefused) {
  EXPECT_THAT(message([] { read_file("/dev/zero"); }), HasSubstr("is a device"));
  EXPECT_THAT(message([] { map_file("/dev/urandom"); }), HasSubstr("is a device"));
  EXPECT_EQ(read_file("/dev/null"), "");
  EXPECT_THAT(message([&] { read_file(folder_.path()); }), HasSubstr("a folder"));
  const fs::path listening = socket("socket");
  if (!listening.empty()) {
    EXPECT_THAT(message([&] { read_file(listening); }), HasSubstr("is a socket"));
    EXPECT_EQ(special_kind(listening), "socket");
  }
}

TEST_F(InputFileTest, LinksToNothingSayWhereTheyLead) {
  fs::create_symlink("gone.txt", path("dangling"));
  fs::create_symlink("loop", path("loop"));
  EXPECT_THAT(message([&] { read_file(path("dangling")); }),
              HasSubstr("a link to gone.txt, which is missing"));
  EXPECT_THAT(message([&] { map_file(path("loop")); }), HasSubstr("loop"));
  EXPECT_EQ(special_kind(path("dangling")), "link to a missing file");
  EXPECT_EQ(special_kind(path("loop")), "loop of links");
  EXPECT_EQ(special_kind(path("nothing")), "");
  EXPECT_EQ(special_kind(fifo("pipe")), "named pipe");
  EXPECT_EQ(special_kind("/dev/zero"), "device");
}

TEST_F(InputFileTest, FilesOfProcHaveContentThoughTheirSizeIsZero) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:"));
}

TEST_F(InputFileTest, DescriptorsAreKnownByTheirNames) {
  EXPECT_EQ(descriptor_of("/dev/stdin"), 0);
  EXPECT_EQ(descriptor_of("/dev/stdout"), 1);
  EXPECT_EQ(descriptor_of("/dev/fd/63"), 63);
  EXPECT_EQ(descriptor_of("/proc/self/fd/7"), 7);
  EXPECT_EQ(descriptor_of("/dev/fd/x"), -1);
  EXPECT_EQ(descriptor_of("stdin"), -1);
}

}  // namespace
}  // namespace asmlp::test::input_file_test
