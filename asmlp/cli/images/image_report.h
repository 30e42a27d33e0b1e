// What predict, detect and segment say about the images they were given.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "asmlp/cli/images/find_images.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {

// As text, every image is printed when it is done; with --json one document at the end: {"model",
// ..., "images": [...], "failed": [{"file", "code", "message"}], "seconds"}.
class ImageReport {
 public:
  // `command` labels the progress bar; `model` is the document's beginning. Arguments that led to
  // no image are failures at once.
  ImageReport(std::string command, bool json, const FoundImages& found, Json model);

  // From here on the time is taken. Progress is shown from more than `few` images on, unless the
  // text is on a terminal and progress enough.
  void start(int64_t few);

  void add(Json entry, const std::string& text);
  void add_failure(const std::string& file, ErrorCode code, const std::string& message);

  // Prints the document, or how many images took how long, after `write` has put the document
  // elsewhere too. Returns the exit code: kExitFailed when there were failures.
  int finish(const std::function<void(const Json& document)>& write = {});

 private:
  void show_progress();

  std::string command_;
  bool as_json_;
  int64_t total_;
  Json json_;
  std::chrono::steady_clock::time_point start_{};
  std::unique_ptr<Progress> progress_;
  int64_t done_ = 0;
};

}  // namespace asmlp::cli
