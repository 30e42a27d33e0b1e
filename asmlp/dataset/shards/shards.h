// Labeled images in tar shards, by the WebDataset convention: the members of a sample follow one
// another and share their name up to the first dot of the file name: "KEY.jpg" (or another of
// image_extensions()) and "KEY.cls", the class number as text. Other members are passed over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/shards/tar.h"

namespace asmlp {

struct Shard {
  std::filesystem::path path;
  int64_t samples = 0;
  int64_t bytes = 0;  // of the file; 0 when not known
};

// The shards of one split, sorted by name.
struct ShardSet {
  std::vector<Shard> shards;
  std::vector<std::string> classes;
  int64_t samples = 0;  // of all shards
  // False when there was no index: the samples were counted by reading every shard once, and the
  // classes are "0" up to the highest number that occurs.
  bool indexed = false;
  // What the counting could not read.
  std::vector<Unreadable> unreadable;
};

// True when `path` means shards rather than files: a folder that holds shards.json or files named
// <split>-*.tar, a .tar file, or a pattern.
bool names_shards(const std::string& path);

// The shards of a split. `path` is a folder with <split>-*.tar, where <split> is train, or val,
// validation or test; or a .tar file, or a pattern with ranges like train-{000000..000123}.tar, or
// several of these separated by "::", of which those are taken whose file name begins with the
// split's name (all of them, when no file name begins with the name of any split).
// The index (shards.json beside the shards) gives counts and class names, and the list of a
// folder's shards; without one they are counted, which reads every shard. A shard that the index
// lists and that is missing is found out when it is read. Errors: kNotFound with what was expected;
// kMismatch for a shard that the index does not list; kBadFormat for a damaged index.
ShardSet open_shards(const std::string& path, Split split);

// The names that a pattern stands for: "a{08..10}" is a08, a09, a10. Error(kInvalidArgument) for a
// range that is not FIRST..LAST with FIRST <= LAST, or for more than 10^6 names.
std::vector<std::string> expand_ranges(const std::string& pattern);

// shards.json: per split ("train", "val") its shards, and the names of the classes.
struct ShardIndex {
  struct Entry {
    std::string name;  // of the file in the folder of the index
    int64_t samples = 0;
    int64_t bytes = 0;
  };
  std::vector<std::string> classes;
  std::map<std::string, std::vector<Entry>> splits;
};
inline constexpr const char* kShardIndexName = "shards.json";

// The index of a folder; nothing when it has none. Error(kBadFormat) names what is wrong in it.
std::optional<ShardIndex> read_shard_index(const std::filesystem::path& folder);
void write_shard_index(const std::filesystem::path& folder, const ShardIndex& index);

// "left out of DIR/: 1 named pipe": the *.tar of a folder that are no regular files (and are never
// opened); "" when there are none.
std::string special_shards(const std::filesystem::path& folder);

// "train" and "val": how the writer names the shards of a split.
const char* shard_split_name(Split split);

// An image as it lies in a shard.
struct ShardSample {
  std::string name;   // "<shard>: <key>"
  std::string bytes;  // the image file; empty with ShardReader::Read::kLabels
  int target = 0;
};

// Members that belong to no sample although their names end like those that do: by WebDataset's
// convention the field begins at the first dot, so that of "photo.v2.0.jpg" is "v2.0.jpg".
struct StrayMembers {
  int64_t count = 0;
  std::string first;  // "<shard>: <name>"
  void add(const StrayMembers& other);
  // Why the first is none, and what would be one; for messages. "" when there are none.
  std::string reason() const;
};

// The samples of one shard, in its order. What cannot be used is passed over and noted: a sample
// without label or with one outside the classes, a member that comes twice; a damaged or missing
// archive, which ends the shard.
class ShardReader {
 public:
  enum class Read { kAll, kLabels };
  // `samples` is what the index says, to notice and count the missing ones; negative: not known.
  // `classes` <= 0: any class number is taken.
  ShardReader(const std::filesystem::path& path, int64_t samples, int classes,
              Read read = Read::kAll);
  // Of an archive in memory.
  ShardReader(std::span<const std::byte> archive, const std::string& name, int classes);

  // The next sample; nothing at the end.
  std::optional<ShardSample> next();

  // What could not be read since the last call.
  std::vector<Unreadable> take_unreadable() { return std::exchange(unreadable_, {}); }
  // Of what has been read so far.
  const StrayMembers& strays() const { return strays_; }

 private:
  struct Group;
  std::optional<ShardSample> close_group(Group& group);
  void end(const std::string& problem);

  std::string name_;  // of the shard, in messages
  int64_t samples_;
  int classes_;
  Read read_;
  std::optional<TarReader> tar_;       // nothing after the end
  std::optional<std::string> member_;  // named by the archive, of the next group
  int64_t seen_ = 0;                   // samples, whether good or not
  std::vector<Unreadable> unreadable_;
  StrayMembers strays_;
};

}  // namespace asmlp
