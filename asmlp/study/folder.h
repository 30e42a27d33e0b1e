// What a study leaves on disk, and how it knows on a restart what is done.
//
//   runs/NAME_seedN_HASH/   one run: recipe.yaml as given to `asmlp train`, the files of the run,
//                           train.log, and result.json when it is over
//   timing.json             how long a step of each configuration takes
//   speed.json              what --speed measured
//   results.{md,csv,json}, top1.png, cost.svg
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "asmlp/core/files/file_lock.h"
#include "asmlp/study/plan.h"

namespace asmlp::study {

class StudyFolder {
 public:
  // Makes the folder and locks it (core/files/file_lock.h). The lock is shared with the training
  // processes: while those of a study that was killed are still saving, this waits for them, which
  // it says once by `say`. Error(kIo) after a minute, kInterrupted once a signal has come
  // (StopSignals).
  explicit StudyFolder(std::filesystem::path root,
                       const std::function<void(const std::string&)>& say = nullptr);
  ~StudyFolder();
  StudyFolder(const StudyFolder&) = delete;
  StudyFolder& operator=(const StudyFolder&) = delete;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path run_folder(const StudyRun& run) const;

  // Makes the run's folder with its recipe and returns the arguments of `asmlp-torch` that start
  // it, or continue it from its last.safetensors.
  std::vector<std::string> prepare(const StudyRun& run, int threads) const;

  // What save_result wrote for this very run: nothing when there is none, when it is damaged, or
  // when it is of other options.
  std::optional<Json> result(const StudyRun& run) const;
  void save_result(const StudyRun& run, Json result) const;

  // The same for a configuration's timing with so many threads.
  std::optional<Json> timing(const StudyConfig& config, int threads) const;
  void save_timing(const StudyConfig& config, int threads, Json timing) const;

  // The same for a configuration's speed on the native engine.
  std::optional<Json> speed(const StudyConfig& config) const;
  void save_speed(const StudyConfig& config, Json speed) const;

 private:
  std::filesystem::path root_;
  std::unique_ptr<FolderLock> lock_;
};

// The JSON object that `asmlp train --json` left in a file; an empty object otherwise.
Json read_train_json(const std::filesystem::path& file);

// Why a run failed: the error it reported, else the last line of its log, else its exit code.
std::string failure_of(const std::filesystem::path& out, const std::filesystem::path& log,
                       int code);

}  // namespace asmlp::study
