#include "asmlp/api/detect_runner.h"

#include <algorithm>

#include "asmlp/api/views.h"
#include "asmlp/core/error.h"
#include "asmlp/model/task.h"

namespace asmlp {
namespace {

std::shared_ptr<const Model> a_detector(std::shared_ptr<const Model> model) {
  require(model != nullptr, ErrorCode::kInvalidArgument, "the model is a null pointer");
  require(model->detector() != nullptr, ErrorCode::kUnsupported,
          "{}: the model is a {}, which detects nothing; use {}",
          model->name().empty() ? "model" : model->name(), model_kind(model->info().task),
          model->info().task == Task::kSegment ? "Segmentor" : "Classifier or Backbone");
  return model;
}

DetectorOptions engine_options(const Model& model, const DetectOptions& options) {
  require(options.score_threshold >= 0 && options.score_threshold < 1, ErrorCode::kInvalidArgument,
          "score_threshold is {}, must be 0 (the model's own) or below 1", options.score_threshold);
  require(options.max_detections >= 0 && options.max_detections <= kMany,
          ErrorCode::kInvalidArgument, "max_detections is {}, must be 0 (the model's own) to {}",
          options.max_detections, kMany);
  TestConfig test = model.detector()->config().test;
  if (options.score_threshold > 0) test.score_threshold = options.score_threshold;
  if (options.max_detections > 0) test.max_detections = options.max_detections;
  return {.max_batch = options.max_batch,
          .threads = options.threads,
          .test = test,
          .masks = options.masks};
}

std::optional<detect::TileOptions> tile_options(const DetectOptions& options) {
  require(options.tile >= 0 && options.tile_overlap >= 0 &&
              (options.tile > 0 || (options.tile_overlap == 0 && !options.tile_whole)),
          ErrorCode::kInvalidArgument,
          "tile is {} and tile_overlap {}; must not be negative, and tile_overlap and tile_whole "
          "need a tile",
          options.tile, options.tile_overlap);
  if (options.tile == 0) return std::nullopt;
  detect::TileOptions tiles{.size = options.tile, .whole = options.tile_whole};
  if (options.tile_overlap > 0) tiles.overlap = options.tile_overlap;
  validate(tiles);
  return tiles;
}

ImageView view_of(const Image& image) {
  return {image.pixels.data(), image.height, image.width, image.channels};
}

}  // namespace

DetectRunner::DetectRunner(std::shared_ptr<const Model> model, const DetectOptions& options)
    : model_(a_detector(std::move(model))),
      options_(options),
      input_(resized_to(model_->detector()->spec().preprocessing, options.short_side,
                        options.long_side)),
      tiles_(tile_options(options)),
      engine_(model_->detector(), engine_options(*model_, options)) {}

void DetectRunner::append(std::vector<std::vector<detect::Detection>> found,
                          Results& results) const {
  const std::vector<std::string>& names = model_->info().classes;
  for (std::vector<detect::Detection>& image : found) {
    std::vector<Detection>& objects = results.emplace_back();
    objects.reserve(image.size());
    for (detect::Detection& d : image) {
      objects.push_back({d.box[0],
                         d.box[1],
                         d.box[2],
                         d.box[3],
                         d.score,
                         d.label,
                         names[static_cast<size_t>(d.label)],
                         {d.mask.height, d.mask.width, std::move(d.mask.counts)}});
    }
  }
}

std::vector<detect::Detection> DetectRunner::detect_tiles(const ImageView& view) {
  const ptrdiff_t row =
      view.row_bytes != 0 ? view.row_bytes : ptrdiff_t{view.width} * view.channels;
  const int most = options_.max_detections > 0 ? options_.max_detections
                                               : model_->detector()->config().test.max_detections;
  return detect::detect_tiled(
      {view.height, view.width}, *tiles_, most, options_.max_batch,
      [&](std::span<const detect::Tile> tiles) {
        std::vector<Image> parts;
        for (const detect::Tile& tile : tiles) {
          ImageView part = view;
          part.pixels += tile.top * row + ptrdiff_t{tile.left} * view.channels;
          part.height = tile.height, part.width = tile.width, part.row_bytes = row;
          parts.push_back(with_channels(copy_of(part), channels()));
        }
        return engine_.detect(parts, input_);
      });
}

std::vector<std::vector<detect::Detection>> DetectRunner::detect_views(
    std::span<const ImageView> views) {
  if (tiles_) {
    std::vector<std::vector<detect::Detection>> found;
    for (const ImageView& view : views) found.push_back(detect_tiles(view));
    return found;
  }
  std::vector<Image> batch;
  for (const ImageView& view : views) batch.push_back(with_channels(copy_of(view), channels()));
  return engine_.detect(batch, input_);
}

DetectRunner::Results DetectRunner::run(const std::vector<ImageView>& images) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  for (size_t i = 0; i < images.size(); ++i) check_image(images[i], i);
  Results results;
  const std::span<const ImageView> all(images);
  const auto step = static_cast<size_t>(options_.max_batch);
  for (size_t first = 0; first < all.size(); first += step) {
    append(detect_views(all.subspan(first, std::min(step, all.size() - first))), results);
  }
  return results;
}

DetectRunner::Results DetectRunner::run(const TensorView& tensor) {
  const OneCaller::Writing turn(caller_);
  check_tensor(tensor, channels());
  const detect::ImageSize size{tensor.height, tensor.width};
  const size_t length = static_cast<size_t>(tensor.channels) * static_cast<size_t>(tensor.height) *
                        static_cast<size_t>(tensor.width);
  Results results;
  for (int first = 0; first < tensor.batch; first += options_.max_batch) {
    const auto batch = static_cast<size_t>(std::min(options_.max_batch, tensor.batch - first));
    const std::vector<detect::InputSizes> sizes(batch, {size, size});
    const std::span input(tensor.data + static_cast<size_t>(first) * length, batch * length);
    append(engine_.run(input, tensor.height, tensor.width, sizes), results);
  }
  return results;
}

DetectRunner::Results DetectRunner::run(const Image& image) {
  Results results;
  if (tiles_) {
    append({detect_tiles(view_of(image))}, results);
  } else {
    append(engine_.detect({&image, 1}, input_), results);
  }
  return results;
}

DetectRunner::Results DetectRunner::run(const std::filesystem::path& file) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  const DecodeOptions decoding = decode_options(options_.reading, PixelStyle::kOpenCv);
  return run(with_channels(decode_image(file, decoding), channels()));
}

DetectRunner::Results DetectRunner::run(const void* bytes, std::size_t size) {
  const OneCaller::Writing turn(caller_);
  check_channels(channels());
  return run(
      with_channels(decode_bytes(bytes, size, options_.reading, PixelStyle::kOpenCv), channels()));
}

void discard(std::unique_ptr<DetectRunner>& runner) noexcept {
  if (runner && runner->left_half_done()) {
    static_cast<void>(runner.release());
  } else {
    runner.reset();
  }
}

}  // namespace asmlp
