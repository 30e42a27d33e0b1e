// TensorBoard's event files, so that a stock TensorBoard shows a run while it goes on.
//
// A file is a sequence of TFRecords (length, masked CRC-32C, data, masked CRC-32C), each holding
// one Event message of tensorboard/compat/proto/event.proto. Four small messages are written, by
// hand: a generated protobuf library would be more to build than they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "asmlp/report/append_file.h"

namespace asmlp {

// A curve or a picture: its name, and what TensorBoard shows when asked what it is (Markdown).
struct ScalarTag {
  const char* name;
  const char* description;
};

class EventFile {
 public:
  // Creates events.out.tfevents.<seconds since 1970>.<host>.<pid>.<n> in `folder`. Its time is past
  // that of every event file there, because TensorBoard reads them in the order of their names.
  // `first_step`: the run is resumed and will report this step next: TensorBoard drops what earlier
  // files say of it and of later ones. Error(kIo).
  explicit EventFile(const std::filesystem::path& folder, std::optional<int64_t> first_step = {});

  // One point; NaN and infinities are allowed. Written by the next flush().
  void scalar(const ScalarTag& tag, int64_t step, double value);
  // Markdown for the tab "Text", under the name `tag` + "/text_summary".
  void text(const std::string& tag, int64_t step, const std::string& markdown);
  // A picture of height x width RGB pixels for the tab "Images": the bytes of a PNG or JPEG file.
  void image(const ScalarTag& tag, int64_t step, int height, int width, std::string_view encoded);
  // Error(kIo): then the file is as it was, and the next flush() tries again.
  void flush() { file_.flush(); }

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void add_event(const std::string& fields, int64_t step);

  AppendFile file_;
  std::set<std::string> described_;
};

}  // namespace asmlp
