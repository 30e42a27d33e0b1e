#include "asmlp/api/batch_runner.h"
#include "asmlp/asmlp.h"

namespace asmlp {

Backbone::Backbone(std::shared_ptr<const Model> model, const RunSettings& settings)
    : runner_(std::make_unique<BatchRunner>(std::move(model), settings, Keep::kFeatures)) {}
Backbone::~Backbone() = default;
Backbone::Backbone(Backbone&&) noexcept = default;
Backbone& Backbone::operator=(Backbone&&) noexcept = default;

const Model& Backbone::model() const { return runner_->model(); }

Features Backbone::features(const std::filesystem::path& file) {
  const DecodedImage image = read_image(file);
  return features(std::vector<ImageView>{image.view()});
}

Features Backbone::features(const std::vector<ImageView>& images) {
  return collect(*runner_, images).features;
}

Features Backbone::features(const TensorView& tensor) { return collect(*runner_, tensor).features; }

}  // namespace asmlp
