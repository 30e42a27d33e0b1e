// What Detector and the C API have in common.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "asmlp/api/one_caller.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/detection/tiles.h"
#include "asmlp/engine/heads/detector.h"

namespace asmlp {

class DetectRunner {
 public:
  // Checks the options and makes the engine.
  DetectRunner(std::shared_ptr<const Model> model, const DetectOptions& options);

  const Model& model() const { return *model_; }

  // The detections of each image, in their order. Errors: those of Detector, OneCaller's, and
  // OutOfMemory; after any error the next run begins anew.
  using Results = std::vector<std::vector<Detection>>;
  Results run(const std::vector<ImageView>& images);
  Results run(const TensorView& tensor);
  Results run(const std::filesystem::path& file);
  Results run(const void* bytes, std::size_t size);  // of an image file

  // A child forked in the middle of a run has to leave it as it is (OneCaller).
  bool left_half_done() const { return caller_.left_half_done(); }

 private:
  int channels() const { return model_->info().in_channels; }
  void append(std::vector<std::vector<detect::Detection>> found, Results& results) const;
  // With input_ as it is, or by tiles.
  std::vector<std::vector<detect::Detection>> detect_views(std::span<const ImageView> views);
  std::vector<detect::Detection> detect_tiles(const ImageView& view);
  Results run(const Image& image);

  OneCaller caller_;
  std::shared_ptr<const Model> model_;
  DetectOptions options_;
  DenseInput input_;
  std::optional<detect::TileOptions> tiles_;
  DetectorEngine engine_;
};

// Destroys the runner, unless this process is a child that was forked in the middle of a run: then
// its memory is left behind.
void discard(std::unique_ptr<DetectRunner>& runner) noexcept;

}  // namespace asmlp
