#include "asmlp/api/detect_runner.h"
#include "asmlp/core/error.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp {
namespace {

MaskRle runs_of(const Mask& mask) { return {mask.height, mask.width, mask.counts}; }

}  // namespace

std::vector<std::uint8_t> mask_bitmap(const Mask& mask) { return decode_mask(runs_of(mask)); }

void mask_bitmap(const Mask& mask, std::uint8_t* pixels, std::ptrdiff_t row_bytes,
                 std::uint8_t inside) {
  const std::int64_t area = asmlp::mask_area(runs_of(mask));  // also checks the counts
  if (mask.empty()) return;
  require(pixels != nullptr, ErrorCode::kInvalidArgument,
          "the output for the bitmap is a null pointer");
  require(row_bytes == 0 || row_bytes >= mask.width, ErrorCode::kInvalidArgument,
          "the output has rows of {} bytes, {} apart; they overlap", mask.width, row_bytes);
  const std::ptrdiff_t apart = row_bytes != 0 ? row_bytes : mask.width;
  for (int y = 0; y < mask.height; ++y) std::fill_n(pixels + y * apart, mask.width, 0);
  if (area == 0) return;
  std::int64_t at = 0;  // of all pixels, column by column
  for (size_t run = 0; run < mask.counts.size(); ++run) {
    const std::int64_t end = at + mask.counts[run];
    if (run % 2 == 0) {
      at = end;
      continue;
    }
    for (; at < end; ++at) pixels[at % mask.height * apart + at / mask.height] = inside;
  }
}

std::int64_t mask_area(const Mask& mask) { return asmlp::mask_area(runs_of(mask)); }

std::string mask_text(const Mask& mask) { return compress_counts(runs_of(mask)); }

Detector::Detector(std::shared_ptr<const Model> model, const DetectOptions& options)
    : runner_(std::make_unique<DetectRunner>(std::move(model), options)) {}
Detector::Detector(const std::filesystem::path& file, const DetectOptions& options)
    : Detector(load_model(file).model, options) {}
Detector::~Detector() { discard(runner_); }
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&& other) noexcept {
  if (this != &other) {
    discard(runner_);
    runner_ = std::move(other.runner_);
  }
  return *this;
}

const Model& Detector::model() const { return runner_->model(); }

std::vector<Detection> Detector::detect(const std::filesystem::path& file) {
  return std::move(runner_->run(file).front());
}

std::vector<Detection> Detector::detect(const ImageView& image) {
  return std::move(runner_->run(std::vector<ImageView>{image}).front());
}

std::vector<std::vector<Detection>> Detector::detect(const std::vector<ImageView>& images) {
  return runner_->run(images);
}

std::vector<std::vector<Detection>> Detector::detect(const TensorView& tensor) {
  return runner_->run(tensor);
}

}  // namespace asmlp
