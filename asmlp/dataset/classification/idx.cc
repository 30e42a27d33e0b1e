// MNIST-style IDX files: a big-endian header (magic, sizes), then bytes; often gzipped.
// Format: http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
#include <fcntl.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "asmlp/core/error.h"
#include "asmlp/core/input_file.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/dataset/classification/open.h"
#include "asmlp/dataset/dataset.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

// 00 00, type 08 = unsigned byte, number of dimensions.
constexpr uint32_t kImagesMagic = 0x00000803;
constexpr uint32_t kLabelsMagic = 0x00000801;
// Far above every data set of this kind (MNIST's training images: 47 MB).
constexpr uint64_t kMaxBytes = uint64_t{2} << 30;

const std::array<const char*, 10> kFashionClasses = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

// A file read through zlib, which passes plain files on as they are.
class GzipFile {
 public:
  explicit GzipFile(const fs::path& path)
      : path_(path.string()),
        input_(path, Inputs::kRegular),
        file_(gzdopen(::fcntl(input_.descriptor(), F_DUPFD_CLOEXEC, 3), "rb")) {
    require(file_ != nullptr, ErrorCode::kIo, "{}: cannot open for reading", path_);
    gzbuffer(file_, 1u << 17);
  }
  ~GzipFile() { gzclose_r(file_); }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  // Up to `size` bytes; fewer only at the end of the data. A truncated or corrupt gzip stream (also
  // one whose checksum is wrong) is an Error.
  size_t read(uint8_t* to, size_t size) {
    size_t done = 0;
    while (done < size) {
      const auto step = static_cast<unsigned>(std::min<size_t>(size - done, 1u << 20));
      const int count = gzread(file_, to + done, step);
      int error = Z_OK;
      const char* why = gzerror(file_, &error);
      require(error != Z_ERRNO, ErrorCode::kIo, "{}: cannot read", path_);
      require(count >= 0 && (error == Z_OK || error == Z_STREAM_END), ErrorCode::kBadFormat,
              "{}: damaged gzip data after {} bytes: {}", path_, done, why);
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

 private:
  std::string path_;
  InputFile input_;
  gzFile file_;
};

struct IdxFile {
  std::vector<uint32_t> sizes;  // outermost first
  std::vector<uint8_t> bytes;
};

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

IdxFile read_idx(const fs::path& path, uint32_t magic) {
  GzipFile file(path);
  const size_t dimensions = magic & 0xff;
  std::vector<uint8_t> header(4 + 4 * dimensions);
  const size_t got = file.read(header.data(), header.size());
  require(got == header.size(), ErrorCode::kBadFormat,
          "{}: {} bytes are too short for an IDX header of {}", path.string(), got, header.size());
  require(
      big_endian(header.data()) == magic, ErrorCode::kBadFormat,
      "{}: IDX magic number {:#010x} where {:#010x} ({} dimensions of unsigned bytes) is expected",
      path.string(), big_endian(header.data()), magic, dimensions);
  IdxFile idx;
  uint64_t total = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    idx.sizes.push_back(big_endian(header.data() + 4 + 4 * i));
    require(idx.sizes.back() >= 1, ErrorCode::kBadFormat, "{}: IDX dimension {} is 0",
            path.string(), i);
    // Checked each time, so that the product of 32-bit factors cannot overflow.
    total *= idx.sizes.back();
    require(total <= kMaxBytes, ErrorCode::kTooLarge,
            "{}: the IDX header announces more than {} bytes of data", path.string(), kMaxBytes);
  }
  // The header may lie: memory grows with what the file really holds.
  while (idx.bytes.size() < total) {
    const size_t old = idx.bytes.size();
    const size_t step = std::min<uint64_t>(total - old, std::max<size_t>(old, 1u << 20));
    idx.bytes.resize(old + step);
    const size_t count = file.read(idx.bytes.data() + old, step);
    require(count == step, ErrorCode::kBadFormat,
            "{}: holds {} bytes of data where the IDX header announces {}; the file is truncated",
            path.string(), old + count, total);
  }
  uint8_t extra = 0;
  require(file.read(&extra, 1) == 0, ErrorCode::kBadFormat,
          "{}: holds more data than the {} bytes that the IDX header announces", path.string(),
          total);
  return idx;
}

// `root`/`name` or `root`/`name`.gz; an empty path when neither exists.
fs::path find_idx(const fs::path& root, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    const fs::path path = root / (name + suffix);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return {};
}

std::string prefix_of(Split split) { return split == Split::kTrain ? "train" : "t10k"; }

fs::path require_idx(const fs::path& root, const std::string& name) {
  fs::path path = find_idx(root, name);
  require(!path.empty(), ErrorCode::kNotFound, "{}: holds neither {} nor {}.gz", root.string(),
          name, name);
  return path;
}

bool names_fashion(const fs::path& root) {
  std::error_code error;
  const fs::path absolute = fs::absolute(root, error);
  return lower_case((error ? root : absolute).string()).find("fashion") != std::string::npos;
}

class IdxDataset final : public Dataset {
 public:
  IdxDataset(const fs::path& root, Split split) {
    const fs::path images_path = require_idx(root, prefix_of(split) + "-images-idx3-ubyte");
    const fs::path labels_path = require_idx(root, prefix_of(split) + "-labels-idx1-ubyte");
    labels_ = read_idx(labels_path, kLabelsMagic).bytes;
    IdxFile images = read_idx(images_path, kImagesMagic);
    require(images.sizes[0] == labels_.size(), ErrorCode::kMismatch,
            "{} holds {} images, but {} holds {} labels", images_path.string(), images.sizes[0],
            labels_path.string(), labels_.size());
    require(images.sizes[1] <= 65536 && images.sizes[2] <= 65536, ErrorCode::kTooLarge,
            "{}: images of {} x {} pixels; 65536 is the longest side", images_path.string(),
            images.sizes[1], images.sizes[2]);
    height_ = static_cast<int>(images.sizes[1]);
    width_ = static_cast<int>(images.sizes[2]);
    pixels_ = std::move(images.bytes);
    const int highest = *std::max_element(labels_.begin(), labels_.end());
    if (names_fashion(root) && highest < 10) {
      classes_.assign(kFashionClasses.begin(), kFashionClasses.end());
    } else {
      for (int i = 0; i < std::max(10, highest + 1); ++i) classes_.push_back(std::to_string(i));
    }
  }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }

  Sample get(int64_t index) const override {
    Sample sample{Image(height_, width_, 1), target(index), fmt::format("#{}", index)};
    const size_t area = static_cast<size_t>(height_) * width_;
    std::copy_n(pixels_.begin() + static_cast<std::ptrdiff_t>(area * index), area,
                sample.image.pixels.begin());
    return sample;
  }

  int target(int64_t index) const override {
    check_index(*this, index);
    return labels_[static_cast<size_t>(index)];
  }

  const std::vector<std::string>& classes() const override { return classes_; }

 private:
  int height_ = 0, width_ = 0;
  std::vector<uint8_t> pixels_;  // image after image, row-major
  std::vector<uint8_t> labels_;
  std::vector<std::string> classes_;
};

}  // namespace

bool has_idx_files(const fs::path& root) {
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    if (!find_idx(root, name).empty()) return true;
  }
  return false;
}

std::unique_ptr<Dataset> open_idx(const fs::path& root, Split split) {
  return std::make_unique<IdxDataset>(root, split);
}

}  // namespace asmlp
