#include "asmlp/api/segment_runner.h"

namespace asmlp {

Segmentor::Segmentor(std::shared_ptr<const Model> model, const SegmentOptions& options)
    : runner_(std::make_unique<SegmentRunner>(std::move(model), options)) {}
Segmentor::Segmentor(const std::filesystem::path& file, const SegmentOptions& options)
    : Segmentor(load_model(file).model, options) {}
Segmentor::~Segmentor() { discard(runner_); }
Segmentor::Segmentor(Segmentor&&) noexcept = default;
Segmentor& Segmentor::operator=(Segmentor&& other) noexcept {
  if (this != &other) {
    discard(runner_);
    runner_ = std::move(other.runner_);
  }
  return *this;
}

const Model& Segmentor::model() const { return runner_->model(); }

Segmentation Segmentor::segment(const std::filesystem::path& file) {
  return std::move(runner_->run(file).front());
}

Segmentation Segmentor::segment(const ImageView& image) {
  return std::move(runner_->run(std::vector<ImageView>{image}).front());
}

std::vector<Segmentation> Segmentor::segment(const std::vector<ImageView>& images) {
  return runner_->run(images);
}

std::vector<Segmentation> Segmentor::segment(const TensorView& tensor) {
  return runner_->run(tensor);
}

void Segmentor::segment(const ImageView& image, const LabelView& out) { runner_->run(image, out); }

}  // namespace asmlp
