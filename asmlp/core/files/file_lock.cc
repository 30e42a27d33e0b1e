#include "asmlp/core/files/file_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;
using Millis = std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr Millis kLook{250};          // between two tries
constexpr size_t kMaxRecord = 65536;  // bytes of a lock file

// Who holds a lock, as the file has it: lines of "name: value".
struct LockRecord {
  std::string host, boot, pid, start, time, command;
};

// The beginning of a file of /proc.
std::string proc_text(const fs::path& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char buffer[4096];
  const ssize_t size = ::read(file, buffer, sizeof buffer);
  ::close(file);
  if (size > 0) text.assign(buffer, static_cast<size_t>(size));
  return text;
}
std::string first_line(const fs::path& path) {
  const std::string text = proc_text(path);
  return text.substr(0, text.find('\n'));
}

// When a process of this machine started, in ticks since the boot: tells it from a later one of the
// same number. "" when there is no such process.
std::string start_of(const std::string& pid) {
  const std::string stat = proc_text(fs::path("/proc") / pid / "stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  size_t at = name_end;
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return "";
  return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

LockRecord own_record(const std::string& command) {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const std::string pid = std::to_string(::getpid());
  std::string line = command.empty() ? proc_text("/proc/self/cmdline") : command;
  while (!line.empty() && line.back() == '\0') line.pop_back();
  for (char& c : line) c = c == '\n' || c == '\0' ? ' ' : c;
  return {host, first_line("/proc/sys/kernel/random/boot_id"), pid, start_of(pid), utc_now(), line};
}

std::string text_of(const LockRecord& r) {
  return fmt::format("host: {}\nboot: {}\nprocess: {}\nstart: {}\ntime: {}\ncommand: {}\n", r.host,
                     r.boot, r.pid, r.start, r.time, r.command);
}

// Nothing for an empty file, or one that is none of ours.
std::optional<LockRecord> read_record(int file) {
  std::string text(kMaxRecord, '\0');
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  std::map<std::string, std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (const size_t colon = line.find(": "); colon != std::string::npos) {
      lines[line.substr(0, colon)] = line.substr(colon + 2);
    }
    at = end + 1;
  }
  const bool number = !lines["process"].empty() &&
                      lines["process"].find_first_not_of("0123456789") == std::string::npos;
  if (!number) return std::nullopt;
  return LockRecord{lines["host"],  lines["boot"], lines["process"],
                    lines["start"], lines["time"], lines["command"]};
}

std::string who(const LockRecord& r) {
  return fmt::format("process {} on {}, since {}{}", r.pid, r.host, r.time,
                     r.command.empty() ? "" : fmt::format(" (`{}`)", r.command));
}

Millis modified(const struct stat& status) {
  return Millis(int64_t{status.st_mtim.tv_sec} * 1000 + status.st_mtim.tv_nsec / 1'000'000);
}

// The time of the file system's own clock, which may be a server's: that of a file made for it.
std::optional<Millis> clock_of(const fs::path& folder) {
  const fs::path path = folder / fmt::format("{}.tmp.{}.0", FolderLock::kFile, ::getpid());
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return std::nullopt;
  struct stat status {};
  const bool known = ::futimens(file, nullptr) == 0 && ::fstat(file, &status) == 0;
  ::close(file);
  ::unlink(path.c_str());
  return known ? std::optional(modified(status)) : std::nullopt;
}

// What a lock file says, opened anew: a network's file system looks at its server then.
struct LockLook {
  std::optional<LockRecord> record;
  Millis touched{0};
};

LockLook look_at(const fs::path& path) {
  LockLook look;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return look;
  struct stat status {};
  if (::fstat(file, &status) == 0) look.touched = modified(status);
  look.record = read_record(file);
  ::close(file);
  return look;
}

enum class Flock { kGot, kHeld, kNone };

Flock try_flock(const LockRequest& request, int file) {
  while (true) {
    const int operation = LOCK_EX | LOCK_NB;
    const int result = request.flock ? request.flock(file, operation) : ::flock(file, operation);
    if (result == 0) return Flock::kGot;
    if (errno == EWOULDBLOCK) return Flock::kHeld;
    if (errno != EINTR) return Flock::kNone;  // ENOLCK, ENOTSUP, ENOSYS, ...: no locks here
  }
}

}  // namespace

struct FolderLock::Held {
  fs::path path;
  int file = -1;
  bool kept = false;     // this process holds the lock
  bool made = false;     // the folder was not there before
  std::thread touching;  // shows other hosts that this process lives
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;

  ~Held() {
    {
      const std::lock_guard guard(mutex);
      over = true;
    }
    changed.notify_all();
    if (touching.joinable()) touching.join();
    // Before the lock is let go: whoever opened the file meanwhile sees that it is another one now.
    if (kept) ::unlink(path.c_str());
    if (made && (kept || file < 0)) ::rmdir(path.parent_path().c_str());  // unless it is in use
    if (file >= 0) ::close(file);
  }

  void open(bool inherited) {
    if (file >= 0) ::close(file);
    file = ::open(path.c_str(), O_RDWR | O_CREAT | (inherited ? 0 : O_CLOEXEC), 0666);
    require(file >= 0, ErrorCode::kIo, "{}: cannot be written: {}", path.string(),
            std::strerror(errno));
  }

  // Whether `path` still is the file that is open here.
  bool current() const {
    struct stat own {
    }, there{};
    return ::fstat(file, &own) == 0 && ::stat(path.c_str(), &there) == 0 &&
           own.st_ino == there.st_ino && own.st_dev == there.st_dev;
  }

  void start_touching(Millis pause) {
    try {
      touching = std::thread([this, pause] {
        std::unique_lock lock(mutex);
        while (!changed.wait_for(lock, pause, [&] { return over; })) ::futimens(file, nullptr);
      });
    } catch (const std::system_error&) {
      // No thread to be had: other hosts without a common flock(2) see no sign of life.
    }
  }
};

namespace {

bool here(const LockRecord& record, const LockRecord& own) {
  return record.boot == own.boot && !own.boot.empty();
}
// Of a record of this machine.
bool is_gone(const LockRecord& record) {
  const std::string start = start_of(record.pid);
  return start.empty() || start != record.start;
}

// Whether a process of another machine lives, from looks at the file that it touches.
class ForeignLife {
 public:
  enum class Verdict { kAlive, kGone, kOpen };
  Verdict judge(const LockLook& look, const fs::path& folder, Millis limit) {
    if (!touched_) {
      touched_ = look.touched;
      since_ = Clock::now();
      const std::optional<Millis> now = clock_of(folder);
      gone_ = now && *now - look.touched > limit;
    }
    alive_ = alive_ || look.touched != *touched_;
    if (alive_) return Verdict::kAlive;
    return gone_ || Clock::now() - since_ > limit ? Verdict::kGone : Verdict::kOpen;
  }

 private:
  std::optional<Millis> touched_;
  Clock::time_point since_;
  bool alive_ = false, gone_ = false;
};

std::string holder_text(const std::optional<LockRecord>& record, const LockRecord& own) {
  if (!record) return "a process that has not left its name";
  const bool gone = here(*record, own) && is_gone(*record);
  return who(*record) + (gone ? ", which has ended, but not all that it had started" : "");
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder, const LockRequest& request)
    : held_(std::make_unique<Held>()) {
  Held& held = *held_;
  std::error_code error;
  held.made = fs::create_directories(folder, error);
  require(!error || fs::is_directory(folder), ErrorCode::kIo, "{}: cannot create the folder: {}",
          folder.string(), error.message());
  held.path = folder / kFile;
  held.open(request.inherited);
  const LockRecord own = own_record(request.command);
  const std::string text = text_of(own);
  const Clock::time_point start = Clock::now();
  ForeignLife foreign;
  std::optional<LockRecord> before;
  for (bool told = false;; std::this_thread::sleep_for(kLook)) {
    if (!held.current()) held.open(request.inherited);  // its holder has ended, and removed it
    const Flock flocked = try_flock(request, held.file);
    if (flocked == Flock::kGot && !held.current()) continue;
    const LockLook look = look_at(held.path);
    const std::optional<LockRecord>& record = look.record;
    bool free = flocked != Flock::kHeld, open = false;
    if (free && record && here(*record, own)) {
      // Where the kernel has locks it knows this machine's processes.
      free = flocked == Flock::kGot || is_gone(*record);
    } else if (free && record) {
      const auto verdict = foreign.judge(look, folder, request.silence);
      free = verdict == ForeignLife::Verdict::kGone;
      open = verdict == ForeignLife::Verdict::kOpen;
    }
    if (free) {
      before = record;
      // What cannot be written (a full disk) does not matter where the kernel keeps the lock.
      const bool written = ::ftruncate(held.file, 0) == 0 &&
                           ::pwrite(held.file, text.data(), text.size(), 0) == std::ssize(text);
      const int reason = errno;
      if (flocked == Flock::kGot) break;
      require(written, ErrorCode::kIo, "{}: cannot be written: {}", held.path.string(),
              std::strerror(reason));
      // Of several that come at the same moment, it is the last one's.
      std::this_thread::sleep_for(kLook);
      const std::optional<LockRecord> now = look_at(held.path).record;
      if (now && text_of(*now) == text) break;
      continue;
    }
    require(!request.give_up || !request.give_up(), ErrorCode::kInterrupted,
            "{}: interrupted while it waited for the lock", folder.string());
    // Who has just locked it has not yet left its name.
    const Millis patience =
        record ? request.patience : std::max<Millis>(request.patience, 4 * kLook);
    if (!open && Clock::now() - start >= patience) {
      const bool doubtful = flocked != Flock::kHeld && !here(*record, own);
      fail(ErrorCode::kIo, "{}: {} is at work in this folder: {}; {}{}", folder.string(),
           request.holder, holder_text(record, own), request.advice,
           doubtful ? fmt::format(" (or remove {} if that process is gone)", held.path.string())
                    : "");
    }
    if (record && !std::exchange(told, true) && request.on_wait) {
      request.on_wait(fmt::format("{}: {} is at work in this folder: {}; waiting", folder.string(),
                                  request.holder, holder_text(record, own)));
    }
  }
  held.kept = true;
  held.start_touching(request.silence / 4);
  if (before && request.on_taken_over) {
    request.on_taken_over(fmt::format("{}: {} was at work here and was ended by force: {}",
                                      folder.string(), request.holder, who(*before)));
  }
}

FolderLock::~FolderLock() = default;

}  // namespace asmlp
