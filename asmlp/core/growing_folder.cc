#include "asmlp/core/growing_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/write_all.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", path.string(),
          error.message());
}

}  // namespace

GrowingFolder::GrowingFolder(const fs::path& output, Output kind, const std::string& name)
    : output_(output.lexically_normal()) {
  if (!output_.has_filename()) output_ = output_.parent_path();  // "out/"
  require(!output_.empty(), ErrorCode::kInvalidArgument, "the output folder has no name");
  std::error_code error;
  const bool there = fs::symlink_status(output_, error).type() != fs::file_type::not_found;
  inside_ = kind == Output::kShared || (kind == Output::kNewOrEmpty && there);
  require(!there || inside_, ErrorCode::kInvalidArgument,
          "{}: exists already; choose another output", output_.string());
  if (inside_) {
    make_folders(output_);
    path_ = output_ / ("." + (name.empty() ? "growing" : name));
  } else {
    if (output_.has_parent_path()) make_folders(output_.parent_path());
    path_ = output_;
  }
  remove_leftovers(path_);
  if (kind == Output::kNewOrEmpty && there) {
    const bool empty = fs::is_empty(output_, error);
    require(!error, ErrorCode::kIo, "{}: cannot list the folder: {}", output_.string(),
            error.message());
    require(empty, ErrorCode::kInvalidArgument, "{}: is not empty; choose another output",
            output_.string());
  }
  path_ += temporary_suffix();
  const bool created = fs::create_directory(path_, error);
  require(created, ErrorCode::kIo, "{}: cannot create the folder: {}", path_.string(),
          error ? error.message() : "it exists already");
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ >= 0) ::flock(lock_, LOCK_EX | LOCK_NB);
}

GrowingFolder::~GrowingFolder() {
  if (lock_ >= 0) ::close(lock_);
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

void GrowingFolder::finish() {
  const bool synced = lock_ >= 0 && ::syncfs(lock_) == 0;
  require(synced, ErrorCode::kIo, "{}: cannot flush to disk: {}", path_.string(),
          std::strerror(errno));
  std::error_code error;
  if (!inside_) {
    fs::rename(path_, output_, error);
    require(!error, ErrorCode::kIo, "{}: cannot rename the finished folder to it: {}",
            output_.string(), error.message());
    path_.clear();
    return;
  }
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(path_)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  for (const fs::path& entry : entries) {
    fs::rename(entry, output_ / entry.filename(), error);
    require(!error, ErrorCode::kIo, "{}: cannot move it into the finished folder: {}",
            (output_ / entry.filename()).string(), error.message());
  }
}

void write_growing_file(const fs::path& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  int error = fd < 0 ? errno : write_all(fd, bytes, OnSignal::kGoOn);
  if (fd >= 0 && ::close(fd) != 0 && error == 0) error = errno;
  require(error == 0, ErrorCode::kIo, "{}: cannot write: {}", path.string(), std::strerror(error));
}

}  // namespace asmlp
