// One writer per folder, among all processes and hosts that see it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace asmlp {

// What a lock is for, and what is said of it.
struct LockRequest {
  std::string holder = "a process";  // what holds such a lock: "a training run"
  // This process's command line, for the messages of others; "": as the system has it.
  std::string command;
  std::string advice;  // the end of the error's message: what to do
  // Processes that this one starts hold the lock too, until the last of them ends.
  bool inherited = false;
  // How long to wait for a holder. `on_wait` is told once, before that.
  std::chrono::milliseconds patience{0};
  // Ends the wait when it returns true.
  std::function<bool()> give_up;
  std::function<void(const std::string&)> on_wait;
  // Receives a sentence when the lock of a process that is gone was taken over.
  std::function<void(const std::string&)> on_taken_over;
  // A holder on another host that has not touched the lock file for so long is gone; a holder does
  // that four times as often.
  std::chrono::milliseconds silence{std::chrono::seconds(40)};
  // flock(2); another one in tests.
  std::function<int(int file, int operation)> flock;
};

// The lock of a folder: its file `.lock`, which says who holds it (host, process, start, command).
//
// On one machine, the kernel's flock(2) decides, which ends with its process, however that ends: a
// file that was left behind is no obstacle. Between machines, flock(2) may be as good (NFS of
// today), or know only this machine's processes, or not exist at all (ENOLCK, ENOTSUP): there what
// the file says decides. A process of this machine is looked up; one of another machine shows that
// it lives by touching the file.
class FolderLock {
 public:
  // Makes the folder and locks it. Error(kIo) when the folder or the file cannot be
  // written (with the reason) or when somebody holds the lock, naming host, process, start and
  // folder; kInterrupted by give_up.
  FolderLock(const std::filesystem::path& folder, const LockRequest& request);
  // Removes the file.
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  static constexpr const char* kFile = ".lock";

 private:
  struct Held;
  std::unique_ptr<Held> held_;
};

}  // namespace asmlp
