// Which shards a path means, and what is in them.
#include "asmlp/dataset/shards/shards.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/left_out.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxNames = 1'000'000;

// How the file names of a split's shards may begin.
std::vector<std::string> split_prefixes(Split split) {
  if (split == Split::kTrain) return {"train"};
  return {"val", "validation", "test"};
}

bool begins_as(const std::string& file_name, Split split) {
  return std::ranges::any_of(split_prefixes(split), [&](const std::string& prefix) {
    return file_name.starts_with(prefix + "-");
  });
}

bool begins_as_any(const std::string& file_name) {
  return begins_as(file_name, Split::kTrain) || begins_as(file_name, Split::kValidation);
}

bool is_tar(const fs::path& path) { return path.extension() == ".tar"; }

// The shards of either split in a folder, sorted by name; none when it is no folder. What is no
// regular file is none (special_shards).
std::vector<fs::path> shards_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    const bool named = is_tar(path) && begins_as_any(path.filename().string());
    if (named && special_kind(path).empty()) paths.push_back(path);
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t end = 0; end != std::string::npos; start = end + separator.size()) {
    end = text.find(separator, start);
    parts.push_back(text.substr(start, end == std::string::npos ? end : end - start));
  }
  return parts;
}

// Folder -> its index, read once.
class Indexes {
 public:
  const std::optional<ShardIndex>& of(const fs::path& folder) {
    auto found = read_.find(folder);
    if (found == read_.end()) found = read_.emplace(folder, read_shard_index(folder)).first;
    return found->second;
  }

 private:
  std::map<fs::path, std::optional<ShardIndex>> read_;
};

const ShardIndex::Entry* find_entry(const ShardIndex& index, const std::string& name) {
  for (const auto& [split, entries] : index.splits) {
    const auto found = std::ranges::find(entries, name, &ShardIndex::Entry::name);
    if (found != entries.end()) return &*found;
  }
  return nullptr;
}

// The shards of the split that `path` names, before anything is known about them.
std::vector<fs::path> find_shards(const std::string& path, Split split, Indexes& indexes) {
  std::error_code ignored;
  std::vector<fs::path> paths;
  if (fs::is_directory(path, ignored)) {
    paths = shards_in(path);
    if (const auto& index = indexes.of(path)) {
      for (const fs::path& found : paths) {
        require(find_entry(*index, found.filename().string()) != nullptr, ErrorCode::kMismatch,
                "{}: is not listed in {} beside it; remove one of the two, or write the index "
                "anew with `asmlp dataset index {}`",
                found.string(), kShardIndexName, path);
      }
      // The index is what should be there.
      paths.clear();
      for (const auto& [name, entries] : index->splits) {
        for (const ShardIndex::Entry& entry : entries) paths.push_back(fs::path(path) / entry.name);
      }
      std::ranges::sort(paths);
    }
  } else {
    for (const std::string& part : split_at(path, "::")) {
      for (const std::string& name : expand_ranges(part)) paths.emplace_back(name);
    }
  }
  const bool named = std::ranges::any_of(
      paths, [](const fs::path& shard) { return begins_as_any(shard.filename().string()); });
  if (named) {
    std::erase_if(
        paths, [&](const fs::path& shard) { return !begins_as(shard.filename().string(), split); });
  }
  require(!paths.empty(), ErrorCode::kNotFound,
          "{}: holds no {} shards; expected {}-*.tar, as `asmlp dataset shards` writes them", path,
          split == Split::kTrain ? "training" : "validation", shard_split_name(split));
  return paths;
}

[[noreturn]] void fail_index(const fs::path& path, const std::string& problem) {
  fail(ErrorCode::kBadFormat, "{}: {}; write it anew with `asmlp dataset index {}`", path.string(),
       problem, path.parent_path().string());
}

}  // namespace

std::string special_shards(const fs::path& folder) {
  LeftOut left_out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string kind = is_tar(it->path()) ? special_kind(it->path()) : "";
    if (!kind.empty()) left_out.count(kind);
  }
  return left_out.note(folder);
}

const char* shard_split_name(Split split) { return split == Split::kTrain ? "train" : "val"; }

std::vector<std::string> expand_ranges(const std::string& pattern) {
  const size_t open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  const size_t close = pattern.find('}', open);
  const std::string range =
      close == std::string::npos ? "" : pattern.substr(open + 1, close - open - 1);
  const size_t dots = range.find("..");
  const auto number = [&](std::string_view text) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  };
  std::optional<uint64_t> first, last;
  if (dots != std::string::npos) {
    first = number(std::string_view(range).substr(0, dots));
    last = number(std::string_view(range).substr(dots + 2));
  }
  require(first && last && *first <= *last, ErrorCode::kInvalidArgument,
          "{}: a range of shards is written {{FIRST..LAST}}, like train-{{000000..000123}}.tar",
          pattern);
  std::vector<std::string> names;
  const std::vector<std::string> tails = expand_ranges(pattern.substr(close + 1));
  require(*last - *first < kMaxNames && (*last - *first + 1) * tails.size() <= kMaxNames,
          ErrorCode::kInvalidArgument, "{}: stands for more than {} shards", pattern, kMaxNames);
  for (uint64_t i = *first; i <= *last; ++i) {
    // As wide as the first number is written.
    const std::string head = pattern.substr(0, open) +
                             fmt::format("{:0{}}", i, static_cast<int>(std::min<size_t>(dots, 20)));
    for (const std::string& tail : tails) names.push_back(head + tail);
  }
  return names;
}

bool names_shards(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    return fs::exists(fs::path(path) / kShardIndexName, ignored) || !shards_in(path).empty();
  }
  return std::ranges::all_of(split_at(path, "::"),
                             [](const std::string& part) { return is_tar(part); });
}

std::optional<ShardIndex> read_shard_index(const fs::path& folder) {
  const fs::path path = folder / kShardIndexName;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const std::string text = read_file(path, size_t{1} << 30, Inputs::kRegular);
  if (!is_parsable_json(text)) fail_index(path, "has too many values, or is nested too deeply");
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != "asmlp-shards" || json.at("version") != 1) {
      fail_index(path, "is no index of shards of version 1");
    }
    ShardIndex index;
    index.classes = json.at("classes").get<std::vector<std::string>>();
    for (const auto& [split, shards] : json.at("splits").items()) {
      auto& entries = index.splits[split];
      for (const Json& shard : shards) {
        entries.push_back({shard.at("name").get<std::string>(), shard.at("samples").get<int64_t>(),
                           shard.at("bytes").get<int64_t>()});
        const ShardIndex::Entry& entry = entries.back();
        // A name, not a way out of the folder.
        if (!is_tar(entry.name) || fs::path(entry.name).filename() != entry.name ||
            entry.samples < 0 || entry.samples > (int64_t{1} << 40)) {
          fail_index(path, fmt::format("shard '{}' with {} samples", entry.name, entry.samples));
        }
      }
    }
    return index;
  } catch (const Json::exception& error) {
    fail_index(path, error.what());
  }
}

void write_shard_index(const fs::path& folder, const ShardIndex& index) {
  Json json{{"format", "asmlp-shards"}, {"version", 1}, {"classes", index.classes}};
  json["splits"] = Json::object();
  for (const auto& [split, entries] : index.splits) {
    Json& shards = json["splits"][split] = Json::array();
    for (const ShardIndex::Entry& entry : entries) {
      shards.push_back({{"name", entry.name}, {"samples", entry.samples}, {"bytes", entry.bytes}});
    }
  }
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  write_file_atomically(folder / kShardIndexName, [&](std::ostream& out) { out << text << '\n'; });
}

ShardSet open_shards(const std::string& path, Split split) {
  if (const std::string others = special_shards(path); !others.empty()) {
    log_message(LogLevel::kWarning, others);
  }
  Indexes indexes;
  ShardSet set;
  int highest = -1;
  StrayMembers strays;
  set.indexed = true;
  for (const fs::path& shard : find_shards(path, split, indexes)) {
    const auto& index = indexes.of(shard.parent_path());
    const ShardIndex::Entry* entry =
        index ? find_entry(*index, shard.filename().string()) : nullptr;
    set.shards.push_back({shard, 0, 0});
    Shard& added = set.shards.back();
    if (entry != nullptr) {
      added.samples = entry->samples;
      added.bytes = entry->bytes;
      require(set.classes.empty() || set.classes == index->classes, ErrorCode::kMismatch,
              "{}: its index names other classes than that of the shards before it",
              shard.string());
      set.classes = index->classes;
    } else {
      std::error_code error;
      added.bytes = static_cast<int64_t>(fs::file_size(shard, error));
      require(!error, ErrorCode::kNotFound, "{}: {}", shard.string(), error.message());
      set.indexed = false;
      ShardReader reader(shard, -1, 0, ShardReader::Read::kLabels);
      while (const auto sample = reader.next()) {
        ++added.samples;
        highest = std::max(highest, sample->target);
      }
      strays.add(reader.strays());
      for (Unreadable& bad : reader.take_unreadable()) set.unreadable.push_back(std::move(bad));
    }
    set.samples += added.samples;
  }
  if (!set.indexed) {
    require(set.classes.empty(), ErrorCode::kMismatch,
            "{}: some of the shards are in an index and some are not", path);
    require(highest < 1'000'000, ErrorCode::kBadFormat, "{}: class {}: a million are the most",
            path, highest);
    for (int i = 0; i <= highest; ++i) set.classes.push_back(std::to_string(i));
    log_message(LogLevel::kWarning,
                fmt::format("{}: no {}, so {} samples of {} classes were counted by reading {} "
                            "shards; `asmlp dataset index` writes one",
                            path, kShardIndexName, set.samples, highest + 1, set.shards.size()));
  }
  require(set.samples >= 1, ErrorCode::kNotFound,
          "{}: its shards hold no samples{}; expected KEY.jpg (or another of {}) and KEY.cls", path,
          !set.unreadable.empty() ? " (" + set.unreadable.front().message + ")"
          : strays.count > 0      ? " (" + strays.reason() + ")"
                                  : "",
          image_extensions());
  return set;
}

}  // namespace asmlp
