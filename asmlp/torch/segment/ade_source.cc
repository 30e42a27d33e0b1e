#include "asmlp/torch/segment/ade_source.h"

#include <algorithm>
#include <utility>

#include "asmlp/image/preprocess.h"

namespace asmlp::segment {
namespace {

// H x W x C, uint8.
torch::Tensor pixels_of(const Image& image) {
  const torch::Tensor pixels =
      torch::empty({image.height, image.width, image.channels}, torch::kUInt8);
  std::ranges::copy(image.pixels, pixels.data_ptr<uint8_t>());
  return pixels;
}

}  // namespace

AdeTrainingSource::AdeTrainingSource(const Ade20k& data, DenseInput input,
                                     TrainTransformOptions options)
    : data_(&data), input_(std::move(input)), options_(options) {
  validate(options);
}

data::TensorSample AdeTrainingSource::get(int64_t index, data::Random& random) const {
  return train_sample(data_->get(index), input_, options_, random);
}

data::TensorSample AdeTestSource::get(int64_t index, data::Random&) const {
  LabeledImage sample = data_->get(index);
  relabel(sample.labels, places_);
  data::TensorSample result;
  result.image = pixels_of(sample.image).permute({2, 0, 1}).contiguous();
  data::ImageInfo& info = result.info;
  info.height = info.padded_height = info.original_height = sample.image.height;
  info.width = info.padded_width = info.original_width = sample.image.width;
  info.label_map = pixels_of(sample.labels).squeeze(2);
  return result;
}

CacheContents cache_contents(const Ade20k& plain, const std::string& what) {
  const auto data = std::make_shared<const Ade20k>(plain);
  CacheContents contents;
  contents.what = what;
  contents.size = data->size();
  contents.file = [data](int64_t index) { return data->files(index).image; };
  contents.decode = [data](int64_t index) { return data->get(index).image; };
  contents.decoding = data->decoding();
  return contents;
}

void use_cache(Ade20k& data, std::shared_ptr<const ImageCache> cache) {
  if (cache == nullptr) return;
  data.set_kept([cache = std::move(cache)](int64_t index) -> std::optional<Image> {
    const std::optional<PixelView> view = cache->find(index);
    if (!view) return std::nullopt;
    return to_rgb(copy_of(*view));
  });
}

Image image_of(const data::Batch& batch, int64_t i) {
  const data::ImageInfo& info = batch.infos.at(static_cast<size_t>(i));
  const torch::Tensor pixels = batch.images[i]
                                   .narrow(1, 0, info.height)
                                   .narrow(2, 0, info.width)
                                   .permute({1, 2, 0})
                                   .contiguous();
  Image image(static_cast<int>(info.height), static_cast<int>(info.width),
              static_cast<int>(pixels.size(2)));
  std::copy_n(pixels.data_ptr<uint8_t>(), image.pixels.size(), image.pixels.begin());
  return image;
}

}  // namespace asmlp::segment
