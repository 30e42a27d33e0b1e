// From an ImageFolder to tar shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/shards/shards.h"

namespace asmlp {

struct ShardWriterOptions {
  // A shard ends before the sample that would take it over `shard_bytes`, and after
  // `samples_per_shard` samples when that is not 0.
  int64_t shard_bytes = int64_t{256} << 20;
  int64_t samples_per_shard = 0;
  uint64_t seed = 0;  // of the order in which the samples are spread over the shards
  bool check = true;  // every file must decode; without, only empty files are left out
  // Brings images whose short side is longer to this length (bicubic) and writes them as JPEG of
  // this quality, with their EXIF orientation; the others are copied as they are. Implies `check`.
  std::optional<int> resize;
  int quality = 90;
  int threads = 0;              // that read and decode; 0: all cores
  DecodeOptions decoding = {};  // its limits
};

struct ShardWriterReport {
  int64_t shards = 0;
  int64_t samples = 0;
  int64_t bytes = 0;                   // of the shards
  std::vector<Unreadable> unreadable;  // what was left out
};

// Called on the calling thread after some files, with the number done.
using ShardWriterProgress =
    std::function<void(int64_t done, const std::vector<Unreadable>& unreadable)>;

// Writes the images of `list` as shards <split>-000000.tar and so on to `folder`, which is created,
// and adds the split to the folder's index when all are written. The files' bytes are copied as
// they are; keys are "<number>_<class>_<file's stem>". What cannot be read is left out and
// reported. The bytes of the shards depend on the files and the options alone. Errors:
// kInvalidArgument when the folder holds shards of this split already or for an option outside its
// range; kMismatch when its index has other classes; kIo; kBadFormat when nothing can be read.
ShardWriterReport write_shards(const ImageFiles& list, Split split,
                               const std::filesystem::path& folder,
                               const ShardWriterOptions& options,
                               const ShardWriterProgress& progress = {});

// Reads every shard in `folder` and writes the index anew. `classes` are the names of the classes;
// empty: those of the index that is there, else the numbers up to the highest that occurs. Nothing
// is written when a shard is damaged: kBadFormat with the first damage. kNotFound without shards.
ShardIndex index_shards(const std::filesystem::path& folder, std::vector<std::string> classes);

}  // namespace asmlp
