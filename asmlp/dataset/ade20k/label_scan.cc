#include "asmlp/dataset/ade20k/label_scan.h"

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp {
namespace {

constexpr int kHighestLabel = 254;

// What one map adds.
struct MapCounts {
  bool read = false;
  std::array<int64_t, 256> pixels{};
  std::string wrong;
};

// Never throws: a map that cannot be read stays unread.
void count_labels(const std::filesystem::path& file, int classes, MapCounts& counts) noexcept {
  try {
    const Image labels = read_label_png(file);
    for (size_t i = 0; i < labels.pixels.size(); ++i) {
      const int label = labels.pixels[i];
      ++counts.pixels[static_cast<size_t>(label)];
      if (classes > 0 && label > classes && label <= kHighestLabel && counts.wrong.empty()) {
        const size_t width = static_cast<size_t>(labels.width);
        counts.wrong = fmt::format("{}: label {} at row {}, column {}", file.string(), label,
                                   i / width, i % width);
      }
    }
    counts.read = true;
  } catch (...) {
    counts = {};
  }
}

}  // namespace

int LabelScan::highest() const {
  for (int label = kHighestLabel; label > 0; --label) {
    if (pixels[static_cast<size_t>(label)] > 0) return label;
  }
  return 0;
}

int64_t LabelScan::labeled() const {
  int64_t sum = 0;
  for (int label = 1; label <= kHighestLabel; ++label) sum += pixels[static_cast<size_t>(label)];
  return sum;
}

LabelScan scan_labels(const Ade20k& data, int classes, int threads, int64_t most) {
  const int64_t maps = most > 0 ? std::min(most, data.size()) : data.size();
  LabelScan scan;
  ThreadPool pool(threads);
  constexpr int64_t kAtOnce = 256;  // bounds the memory of the counts
  for (int64_t first = 0; first < maps; first += kAtOnce) {
    const int count = static_cast<int>(std::min(kAtOnce, maps - first));
    std::vector<MapCounts> counts(static_cast<size_t>(count));
    pool.run(count, [&](int task, int) {
      count_labels(data.files((first + task) * data.size() / maps).labels, classes,
                   counts[static_cast<size_t>(task)]);
    });
    for (MapCounts& map : counts) {
      ++(map.read ? scan.maps : scan.unreadable);
      for (size_t label = 0; label < map.pixels.size(); ++label) {
        scan.pixels[label] += map.pixels[label];
      }
      if (map.wrong.empty()) continue;
      ++scan.wrong_maps;
      if (scan.first_wrong.empty()) scan.first_wrong = std::move(map.wrong);
    }
  }
  return scan;
}

void check_labels(const LabelScan& scan, const Ade20k& data) {
  require(scan.wrong_maps == 0, ErrorCode::kBadFormat,
          "{}; {} of {} label maps have labels above the {} classes{}: name all classes there, or "
          "mend the maps (0 and 255 are pixels without class)",
          scan.first_wrong, scan.wrong_maps, scan.maps, data.classes().size(),
          data.named() ? " of " + data.class_file().string() : "");
}

}  // namespace asmlp
