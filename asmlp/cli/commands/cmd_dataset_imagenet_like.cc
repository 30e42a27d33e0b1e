// asmlp dataset imagenet-like: an image folder of ImageNet's shape, to try what is meant for
// ImageNet.
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "asmlp/cli/commands/dataset_commands.h"
#include "asmlp/cli/images/find_images.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/core/growing_folder.h"
#include "asmlp/core/printable.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/image/resize.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct DatasetImagenetLikeOptions {
  std::vector<std::string> photos;
  std::string output;
  int classes = 1000;
  int train = 10;
  int val = 2;
  int size = 64;
  int quality = 85;
  uint64_t seed = 0;
  OutputOptions output_options;
};

// A number in [0, 1) for a place of the data set, the same with every standard library.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t split, uint64_t a, uint64_t b)
      : random_(((seed * 3 + split) * 1000003 + a) * 1000003 + b) {}
  double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

 private:
  std::mt19937_64 random_;
};

// An image of class `label`: the class has a window of one of the photos and a color cast of its
// own; every image moves and scales the window by some percent and is of another shape.
Image make_image(const std::vector<Image>& photos, const DatasetImagenetLikeOptions& options,
                 uint64_t label, uint64_t split, uint64_t number) {
  Draws of_class(options.seed, 0, label, 0);
  Draws draws(options.seed, 1 + split, label, number);
  const Image& photo = photos[static_cast<size_t>(of_class.uniform() * double(photos.size()))];
  const double share = of_class.uniform(0.3, 0.6), x = of_class.uniform(), y = of_class.uniform();
  const double cast[3] = {of_class.uniform(0.6, 1.2), of_class.uniform(0.6, 1.2),
                          of_class.uniform(0.6, 1.2)};
  // Short side about `size`, ratio 3:4 to 4:3.
  const double ratio = std::exp(draws.uniform(-0.28, 0.28));
  const int short_side = std::max(1, static_cast<int>(options.size * draws.uniform(1.0, 1.25)));
  const int h = ratio < 1 ? static_cast<int>(short_side / ratio) : short_side;
  const int w = ratio < 1 ? short_side : static_cast<int>(short_side * ratio);
  const int side = std::min(photo.height, photo.width);
  const double scale = share * draws.uniform(0.85, 1.15) * side / std::max(h, w);
  const int window_h = std::clamp(static_cast<int>(h * scale), 1, photo.height);
  const int window_w = std::clamp(static_cast<int>(w * scale), 1, photo.width);
  const auto place = [&](double at, int room) {
    return static_cast<int>(std::clamp(at + draws.uniform(-0.05, 0.05), 0.0, 1.0) * room);
  };
  const int top = place(y, photo.height - window_h), left = place(x, photo.width - window_w);
  Image image =
      resize(crop(photo, {top, left, window_h, window_w}), h, w, Interpolation::kBilinear);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(std::min(255.0, image.pixels[i] * cast[i % 3]));
  }
  return image;
}

int run_dataset_imagenet_like(const DatasetImagenetLikeOptions& options) {
  const FoundImages found = find_images(options.photos);
  for (const auto& missing : found.missing) fail(missing.code, "{}", missing.message);
  std::vector<Image> photos;
  for (const fs::path& file : found.files) {
    photos.push_back(decode_image(file));
    if (photos.back().channels == 1) photos.back() = to_rgb(photos.back());
  }
  GrowingFolder growing(options.output, GrowingFolder::Output::kNewOrEmpty);
  const int64_t total = int64_t{options.classes} * (options.train + options.val);
  Progress progress("imagenet-like", total, "images");
  int64_t done = 0;
  for (int label = 0; label < options.classes; ++label) {
    // WordNet ids as ImageNet's folders are called: "n" and eight digits.
    const std::string wnid = fmt::format("n{:08}", label);
    for (int split = 0; split < 2; ++split) {
      const fs::path folder = growing.path() / (split == 0 ? "train" : "val") / wnid;
      std::error_code error;
      fs::create_directories(folder, error);
      require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder.string(),
              error.message());
      for (int i = 0; i < (split == 0 ? options.train : options.val); ++i, ++done) {
        const std::string bytes =
            encode_jpeg(make_image(photos, options, uint64_t(label), uint64_t(split), uint64_t(i)),
                        options.quality);
        const std::string name = split == 0 ? fmt::format("{}_{}.JPEG", wnid, i)
                                            : fmt::format("ILSVRC2012_val_{:08}.JPEG",
                                                          int64_t{label} * options.val + i + 1);
        write_growing_file(folder / name, bytes);
      }
    }
    progress.update(done);
  }
  growing.finish();
  progress.finish();
  const Json json{{"output", options.output},
                  {"classes", options.classes},
                  {"train", int64_t{options.classes} * options.train},
                  {"val", int64_t{options.classes} * options.val}};
  if (options.output_options.json) {
    print_json(json);
  } else {
    print_out(fmt::format("{}: {} classes, {} training and {} validation images\n",
                          printable(options.output), group_digits(options.classes),
                          group_digits(json["train"].get<int64_t>()),
                          group_digits(json["val"].get<int64_t>())));
  }
  return kExitOk;
}

}  // namespace

Command add_dataset_imagenet_like(CLI::App& dataset) {
  auto options = std::make_shared<DatasetImagenetLikeOptions>();
  CLI::App* app = add_subcommand(
      dataset, "imagenet-like", "Make an image folder of ImageNet's shape out of a few photos",
      "train/ and val/ with folders n00000000, n00000001, ... of small JPEGs: each class is a "
      "part\n"
      "of one photo in a color of its own. It tries recipes and speed; accuracy on it says "
      "nothing.\n"
      "Example:\n"
      "  asmlp dataset imagenet-like tests/data/photos --output out/imagenet_like");
  app->add_option("photos", options->photos, "images or folders to cut from")
      ->type_name("PHOTO")
      ->required();
  app->add_option("-o,--output", options->output, "folder, new or empty")
      ->type_name("DIR")
      ->required();
  app->add_option("--classes", options->classes, "number of classes (default 1000)")
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
  app->add_option("--train", options->train, "training images per class (default 10)")
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
  app->add_option("--val", options->val, "validation images per class (default 2)")
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
  app->add_option("--size", options->size,
                  "short side in pixels, up to a quarter more (default 64)")
      ->check(CLI::Range(8, 2048))
      ->type_name("N");
  app->add_option("--quality", options->quality, "JPEG quality (default 85)")
      ->check(CLI::Range(1, 100))
      ->type_name("Q");
  app->add_option("--seed", options->seed, "of everything random (default 0)")->type_name("N");
  add_output_options(*app, options->output_options);
  return {app, [options] { return run_dataset_imagenet_like(*options); }};
}

}  // namespace asmlp::cli
