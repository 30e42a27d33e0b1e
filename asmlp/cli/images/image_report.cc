#include "asmlp/cli/images/image_report.h"

#include <fmt/format.h>

#include "asmlp/cli/options/options.h"

namespace asmlp::cli {

ImageReport::ImageReport(std::string command, bool json, const FoundImages& found, Json model)
    : command_(std::move(command)),
      as_json_(json),
      total_(std::ssize(found.files)),
      json_(std::move(model)),
      start_(std::chrono::steady_clock::now()) {
  json_["images"] = Json::array();
  json_["failed"] = Json::array();
  for (const std::string& note : found.notes) print_note(note);
  for (const auto& missing : found.missing) {
    add_failure(missing.argument, missing.code, missing.message);
  }
}

void ImageReport::start(int64_t few) {
  if (total_ > few && (as_json_ || !out_is_terminal())) {
    progress_ = std::make_unique<Progress>(command_, total_, "images");
  }
  done_ = 0;
  start_ = std::chrono::steady_clock::now();
}

void ImageReport::show_progress() {
  ++done_;
  if (progress_) progress_->update(done_);
}

void ImageReport::add(Json entry, const std::string& text) {
  json_["images"].push_back(std::move(entry));
  if (!as_json_) print_out(text);
  show_progress();
}

void ImageReport::add_failure(const std::string& file, ErrorCode code, const std::string& message) {
  print_error(message);
  json_["failed"].push_back({{"file", file}, {"code", to_string(code)}, {"message", message}});
  show_progress();
}

int ImageReport::finish(const std::function<void(const Json& document)>& write) {
  if (progress_) progress_->finish();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const size_t images = json_["images"].size(), failed = json_["failed"].size();
  json_["seconds"] = seconds;
  if (as_json_) {
    print_json(json_);
  } else {
    print_note(fmt::format("{} image{} in {:.2f} s ({:.3g} images/s){}", images,
                           images == 1 ? "" : "s", seconds,
                           seconds > 0 ? static_cast<double>(images) / seconds : 0.0,
                           failed > 0 ? fmt::format(", {} failed", failed) : ""));
  }
  SideOutputs files;
  if (write) files.add([&] { write(json_); });
  return files.finish(failed > 0 ? kExitFailed : kExitOk);
}

}  // namespace asmlp::cli
