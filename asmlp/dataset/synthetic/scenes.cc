#include "asmlp/dataset/synthetic/scenes.h"

#include <algorithm>
#include <exception>
#include <span>
#include <string_view>
#include <tuple>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/growing_folder.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/dataset/synthetic/scenes_coco.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/labels/label_png.h"
#include "asmlp/image/resize.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr int kQuality = 90;
constexpr int kMaxClasses = 100;
constexpr std::string_view kBackground = "background";
constexpr int64_t kMaxImages = 1'000'000;
// Scenes in memory at a time: enough to keep the threads busy.
constexpr int64_t kBlock = 64;
constexpr double kContext = 1.2;  // side of a crop over the longer side of its object's box

void create_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", path.string(),
          error.message());
}

void write_bytes(const fs::path& path, const std::vector<uint8_t>& bytes) {
  write_growing_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// What of the image is the picture of an object with the given box.
Window square_about(const Window& box, const Image& image) {
  const int side = std::min({static_cast<int>(kContext * std::max(box.height, box.width) + 0.5),
                             image.height, image.width});
  return {std::clamp(box.top + (box.height - side) / 2, 0, image.height - side),
          std::clamp(box.left + (box.width - side) / 2, 0, image.width - side), side, side};
}

// The names of one split, and what the class list says about it.
struct SplitWriter {
  const Dataset& items;
  uint32_t number;               // of the split, for the random numbers
  std::string coco, ade, crops;  // names of its folders: train2017, training, train
  std::string prefix;            // of ADE20K's file names
  int64_t images;
  SceneOptions kind;  // of scenes
  // Of the background and each class; the second counts images.
  std::vector<int64_t> pixels{}, occurrences{};

  std::string coco_name(int64_t index) const { return fmt::format("{:012}.jpg", index + 1); }
  std::string ade_name(int64_t index) const { return fmt::format("{}{:08}", prefix, index + 1); }

  // Writes the picture twice and the labels.
  void write_files(const fs::path& root, const Scene& scene, int64_t index) const {
    const std::string jpeg = encode_jpeg(scene.image, kQuality);
    const fs::path picture = root / coco / coco_name(index);
    const fs::path second = root / "images" / ade / (ade_name(index) + ".jpg");
    write_growing_file(picture, jpeg);
    std::error_code no_links;
    fs::create_hard_link(picture, second, no_links);
    if (no_links) write_growing_file(second, jpeg);
    Image labels = scene.owners;
    for (uint8_t& value : labels.pixels) {
      value = value == 0 ? 1 : static_cast<uint8_t>(scene.objects[value - 1].target + 2);
    }
    write_bytes(root / "annotations" / ade / (ade_name(index) + ".png"), encode_label_png(labels));
  }

  fs::path crop_folder(const fs::path& root, int target) const {
    std::string name = items.classes()[static_cast<size_t>(target)];
    std::ranges::replace(name, '/', '-');
    return root / "crops" / crops / name;
  }

  // Writes each object as a picture of side x side pixels.
  void write_crops(const fs::path& root, const Scene& scene, int64_t index, int side) const {
    int number = 0;
    for (const SceneObject& object : scene.objects) {
      const Image square = crop(scene.image, square_about(object.box, scene.image));
      write_bytes(
          crop_folder(root, object.target) / fmt::format("{:012}_{}.png", index + 1, ++number),
          encode_png(resize(square, side, side, Interpolation::kBilinear)));
    }
  }

  void count(const Scene& scene) {
    std::vector<uint8_t> here(pixels.size());
    int64_t background = std::ssize(scene.owners.pixels);
    for (const SceneObject& object : scene.objects) {
      pixels[static_cast<size_t>(object.target) + 1] += object.area;
      here[static_cast<size_t>(object.target) + 1] = 1;
      background -= object.area;
    }
    pixels[0] += background;
    here[0] = background > 0;
    for (size_t k = 0; k < here.size(); ++k) occurrences[k] += here[k];
  }
};

// Makes and writes all scenes of a split.
ScenesReport::OfSplit write_split(SplitWriter& split, const fs::path& root,
                                  const ScenesOptions& options, ThreadPool& pool,
                                  const std::function<void(int64_t done)>& progress) {
  for (const fs::path& folder :
       {root / split.coco, root / "images" / split.ade, root / "annotations" / split.ade}) {
    create_folder(folder);
  }
  const std::vector<std::string>& classes = split.items.classes();
  for (int k = 0; options.crops > 0 && k < std::ssize(classes); ++k) {
    create_folder(split.crop_folder(root, k));
  }
  split.pixels.assign(classes.size() + 1, 0);
  split.occurrences.assign(classes.size() + 1, 0);
  ScenesReport::OfSplit report;
  SceneAnnotations annotations;
  for (int64_t first = 0; first < split.images; first += kBlock) {
    const int count = static_cast<int>(std::min(kBlock, split.images - first));
    std::vector<Scene> scenes(static_cast<size_t>(count));
    std::vector<std::exception_ptr> errors(scenes.size());
    pool.run(count, [&](int task, int) {
      const int64_t index = first + task;
      try {
        SceneRandom random(options.seed, split.number, static_cast<uint64_t>(index));
        Scene& scene = scenes[static_cast<size_t>(task)];
        scene = make_scene(split.items, split.kind, random);
        split.write_files(root, scene, index);
        if (options.crops > 0) split.write_crops(root, scene, index, options.crops);
      } catch (...) {
        errors[static_cast<size_t>(task)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    for (const Scene& scene : scenes) {
      annotations.add(scene, split.coco_name(report.images));
      split.count(scene);
      ++report.images;
      report.objects += std::ssize(scene.objects);
      report.hidden += scene.hidden;
      report.empty += scene.objects.empty();
    }
    if (progress) progress(report.images);
  }
  annotations.write(root / "annotations" / ("instances_" + split.coco + ".json"), classes);
  return report;
}

// ADE20K's table of classes: share of all pixels, images of each split with the class, whether it
// is "stuff" (the background is).
std::string class_list(const std::vector<std::string>& classes, std::span<const SplitWriter> splits,
                       const SceneOptions& scene) {
  std::string text = "Idx\tRatio\tTrain\tVal\tStuff\tName\n";
  const double area =
      static_cast<double>(splits[0].images + splits[1].images) * scene.height * scene.width;
  for (size_t k = 0; k <= classes.size(); ++k) {
    const double ratio = static_cast<double>(splits[0].pixels[k] + splits[1].pixels[k]) / area;
    text += fmt::format("{}\t{:.4f}\t{}\t{}\t{:d}\t{}\n", k + 1, ratio, splits[0].occurrences[k],
                        splits[1].occurrences[k], k == 0, k == 0 ? kBackground : classes[k - 1]);
  }
  return text;
}

}  // namespace

ScenesReport write_scenes(const fs::path& items, const fs::path& output,
                          const ScenesOptions& options, const ScenesProgress& progress) {
  for (const int64_t images : {options.train, options.val}) {
    require(images >= 1 && images <= kMaxImages, ErrorCode::kInvalidArgument,
            "{} images in a split; 1..{} are possible", images, kMaxImages);
  }
  require(options.crops == 0 || (options.crops >= 8 && options.crops <= 512),
          ErrorCode::kInvalidArgument, "crops of {0} x {0} pixels; sides are 8..512",
          options.crops);
  const auto train = open_idx(items, Split::kTrain), val = open_idx(items, Split::kValidation);
  const std::vector<std::string>& classes = train->classes();
  require(classes == val->classes(), ErrorCode::kMismatch,
          "{}: the training split has {} classes, the test split {}", items.string(),
          classes.size(), val->classes().size());
  require(std::ssize(classes) <= kMaxClasses, ErrorCode::kUnsupported,
          "{}: {} classes; scenes are made of {} at most", items.string(), classes.size(),
          kMaxClasses);
  SceneOptions training = options.scene;
  if (options.train_items) {
    std::tie(training.min_items, training.max_items) = *options.train_items;
  }
  GrowingFolder folder(output, GrowingFolder::Output::kNew);
  ThreadPool pool(options.threads);
  SplitWriter splits[] = {
      {*train, 0, "train2017", "training", "train", "ADE_train_", options.train, training},
      {*val, 1, "val2017", "validation", "val", "ADE_val_", options.val, options.scene}};
  ScenesReport report{.splits = {}, .classes = classes};
  int64_t before = 0;
  for (size_t i = 0; i < 2; ++i) {
    report.splits[i] = write_split(splits[i], folder.path(), options, pool, [&](int64_t done) {
      if (progress) progress(before + done);
    });
    before += splits[i].images;
  }
  write_growing_file(folder.path() / fmt::format("objectInfo{}.txt", classes.size() + 1),
                     class_list(classes, splits, options.scene));
  folder.finish();
  return report;
}

}  // namespace asmlp
