#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/dataset/shards/shards.h"
#include "asmlp/image/decode.h"

namespace asmlp {
namespace {

// A label is a number and perhaps a newline; anything longer is none.
constexpr size_t kMaxLabelBytes = 64;

// "a/b.seg.PNG" -> {"a/b", "seg.png"}. A name without a dot, or one that begins with it (hidden),
// has no key.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const size_t slash = name.find_last_of('/');
  const size_t start = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = name.find('.', start);
  if (dot == std::string::npos || dot == start) return {};
  return {name.substr(0, dot), lower_case(name.substr(dot + 1))};
}

// ("seg.png" is none: it is another file of the sample.)
bool is_image(const std::string& extension) {
  return extension.find('.') == std::string::npos && has_image_extension("image." + extension);
}

// The number in a .cls member, or nothing.
std::optional<int> parse_label(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Whether the last part of the name is that of a sample's member.
bool ends_as_member(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || name.find('/', dot) != std::string::npos) return false;
  const std::string last = lower_case(name.substr(dot + 1));
  return is_image(last) || last == "cls";
}

}  // namespace

void StrayMembers::add(const StrayMembers& other) {
  if (count == 0) first = other.first;
  count += other.count;
}

std::string StrayMembers::reason() const {
  if (count == 0) return "";
  const std::string name = first.substr(first.find_last_of("/ ") + 1);
  const size_t dot = name.find('.');
  return fmt::format(
      "{} member{} of no sample, first {}: its field is '{}', since by WebDataset's convention the "
      "key ends at the first dot; rename it to {}{}",
      count, count == 1 ? " is" : "s are", first, name.substr(dot + 1),
      dot == 0 ? "a name that begins with no dot, like KEY" : "a name with one dot, like KEY",
      name.substr(name.rfind('.')));
}

// The members of one sample, as far as they have come.
struct ShardReader::Group {
  std::string key;
  bool has_image = false;
  std::string image;
  std::optional<std::string> label;
  std::string problem;  // the first one

  void add_problem(std::string text) {
    if (problem.empty()) problem = std::move(text);
  }
};

ShardReader::ShardReader(const std::filesystem::path& path, int64_t samples, int classes, Read read)
    : name_(path.string()), samples_(samples), classes_(classes), read_(read) {
  try {
    tar_.emplace(path);
  } catch (const Error& error) {
    end(error.what());
  }
}

ShardReader::ShardReader(std::span<const std::byte> archive, const std::string& name, int classes)
    : name_(name), samples_(-1), classes_(classes), read_(Read::kAll) {
  try {
    tar_.emplace(archive, name);
  } catch (const Error& error) {
    end(error.what());
  }
}

// Ends the shard, and notes the samples that have not come: nothing when all that the index knows
// have. `problem` is empty at a regular end.
void ShardReader::end(const std::string& problem) {
  tar_.reset();
  const int64_t missing = samples_ < 0 ? 0 : samples_ - seen_;
  if (samples_ >= 0 && missing == 0) return;
  if (!problem.empty()) {
    unreadable_.push_back(
        {missing > 0 ? fmt::format("{} ({} of {} samples are lost)", problem, missing, samples_)
                     : problem,
         std::max<int64_t>(missing, 1)});
  } else if (samples_ >= 0) {
    unreadable_.push_back(
        {fmt::format("{}: holds {} samples where its index says {}: damaged, or not the shard that "
                     "was indexed",
                     name_, seen_, samples_),
         std::max<int64_t>(missing, 0)});
  }
}

// The sample that the group holds; nothing when it is none or cannot be used.
std::optional<ShardSample> ShardReader::close_group(Group& group) {
  if (!group.has_image && !group.label && group.problem.empty()) return std::nullopt;
  ++seen_;
  const std::string name = name_ + ": " + group.key;
  std::optional<int> target;
  if (!group.has_image) group.add_problem("has a label but no " + image_extensions());
  if (!group.label) {
    group.add_problem("has no .cls member beside it");
  } else if (!(target = parse_label(*group.label))) {
    group.add_problem("its .cls member holds no class number");
  } else if (classes_ > 0 && *target >= classes_) {
    group.add_problem(fmt::format("class {} of {} (0..{})", *target, classes_, classes_ - 1));
  }
  if (!group.problem.empty()) {
    unreadable_.push_back({name + ": " + group.problem});
    return std::nullopt;
  }
  return ShardSample{name, std::move(group.image), *target};
}

std::optional<ShardSample> ShardReader::next() {
  while (tar_) {
    Group group;
    bool open = false;  // the group has its key
    try {
      while (member_ || (member_ = tar_->next())) {
        const auto [key, extension] = split_name(*member_);
        if (key.empty()) {
          if (ends_as_member(*member_)) strays_.add({1, name_ + ": " + *member_});
          member_.reset();
          continue;
        }
        if (open && key != group.key) break;
        group.key = key;
        open = true;
        if (extension != "cls" && !is_image(extension) && ends_as_member(*member_)) {
          strays_.add({1, name_ + ": " + *member_});
        }
        member_.reset();
        if (extension == "cls") {
          if (group.label) group.add_problem("has two .cls members");
          try {
            group.label = tar_->read(kMaxLabelBytes);
          } catch (const Error& error) {
            if (error.code() != ErrorCode::kTooLarge) throw;
            group.label = "";  // no number
          }
        } else if (is_image(extension)) {
          if (group.has_image) group.add_problem("has two images");
          if (read_ == Read::kAll) {
            try {
              group.image = tar_->read(DecodeOptions{}.max_file_bytes);
              if (group.image.empty()) group.add_problem("its image is empty");
            } catch (const Error& error) {
              if (error.code() != ErrorCode::kTooLarge) throw;
              group.add_problem(error.what());
            }
          }
          group.has_image = true;
        }
      }
    } catch (const Error& error) {
      // What has come of the group may be half of it.
      std::optional<ShardSample> last;
      if (group.has_image && group.label) last = close_group(group);
      end(error.what());
      return last;
    }
    std::optional<ShardSample> sample;
    if (open) sample = close_group(group);
    if (!member_) end("");
    if (sample) return sample;
  }
  return std::nullopt;
}

}  // namespace asmlp
