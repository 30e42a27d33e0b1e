// The C API: detectors, which keep the results of their last run.
#include "asmlp/api/c_handles.h"
#include "asmlp/api/detect_runner.h"

struct asmlp_detector {
  // Of one image: what C sees, and the masks that it points to.
  struct Objects {
    std::vector<asmlp_detection> detections;
    std::vector<asmlp::Mask> masks;
  };

  asmlp::DetectRunner runner;
  std::vector<Objects> last = {};
  asmlp::OneCaller caller = {};  // of `last`, too

  // Replaces the results; after an error there are none.
  template <typename... Input>
  void run(const Input&... input) {
    const asmlp::OneCaller::Writing turn(caller);
    last.clear();
    std::vector<Objects> found;
    for (std::vector<asmlp::Detection>& image : runner.run(input...)) {
      Objects& objects = found.emplace_back();
      for (asmlp::Detection& d : image) add(objects, d);
    }
    last = std::move(found);
  }
  const Objects& objects(int image) const {
    asmlp::require(!last.empty(), asmlp::ErrorCode::kInvalidArgument,
                   "there are no results: nothing has been run, or the last run failed");
    asmlp::require(image >= 0 && static_cast<size_t>(image) < last.size(),
                   asmlp::ErrorCode::kInvalidArgument, "there is no image {}; the last run had {}",
                   image, last.size());
    return last[static_cast<size_t>(image)];
  }

 private:
  void add(Objects& objects, asmlp::Detection& d) {
    const asmlp::Mask& mask = objects.masks.emplace_back(std::move(d.mask));
    const std::string& name = runner.model().info().classes[static_cast<size_t>(d.label)];
    objects.detections.push_back(
        {d.x1, d.y1, d.x2, d.y2, d.score, d.label, name.c_str(), mask.height, mask.width,
         mask.empty() ? nullptr : mask.counts.data(), mask.empty() ? 0 : mask.counts.size()});
  }
};

using asmlp::checked;
using asmlp::ErrorCode;
using asmlp::guarded;
using asmlp::require;

asmlp_status asmlp_detector_create(const asmlp_model* model, const asmlp_detect_options* options,
                                   asmlp_detector** detector) {
  return guarded([&] {
    checked(detector, "detector") = nullptr;
    const asmlp_detect_options chosen = options != nullptr ? *options : asmlp_detect_options{};
    asmlp::DetectOptions detect;
    detect.threads = chosen.threads;
    if (chosen.max_batch != 0) detect.max_batch = chosen.max_batch;
    detect.short_side = chosen.short_side;
    detect.long_side = chosen.long_side;
    detect.score_threshold = chosen.score_threshold;
    detect.max_detections = chosen.max_detections;
    detect.masks = !asmlp::is_set(chosen.no_masks, "no_masks");
    detect.tile = chosen.tile;
    detect.tile_overlap = chosen.tile_overlap;
    detect.tile_whole = asmlp::is_set(chosen.tile_whole, "tile_whole");
    detect.reading = asmlp::reading_of(chosen.exif, chosen.max_pixels);
    *detector = new asmlp_detector{asmlp::DetectRunner(checked(model, "model").model, detect)};
  });
}

void asmlp_detector_free(asmlp_detector* detector) {
  if (detector == nullptr) return;
  // A child of a fork in the middle of a call leaves the half-changed memory behind.
  if (detector->caller.left_half_done()) return;
  delete detector;
}

asmlp_status asmlp_detector_run_images(asmlp_detector* detector, const asmlp_image* images,
                                       int count) {
  return guarded([&] { checked(detector, "detector").run(asmlp::views_of(images, count)); });
}

asmlp_status asmlp_detector_run_file(asmlp_detector* detector, const char* file) {
  return guarded([&] {
    checked(detector, "detector");
    detector->run(std::filesystem::path(&checked(file, "file")));
  });
}

asmlp_status asmlp_detector_run_encoded(asmlp_detector* detector, const void* bytes, size_t size) {
  return guarded([&] { checked(detector, "detector").run(bytes, size); });
}

asmlp_status asmlp_detector_run_tensor(asmlp_detector* detector, const float* nchw, int batch,
                                       int height, int width) {
  return guarded([&] {
    checked(detector, "detector");
    checked(nchw, "nchw");
    const int channels = detector->runner.model().info().in_channels;
    detector->run(asmlp::TensorView{nchw, batch, channels, height, width});
  });
}

asmlp_status asmlp_detector_detections(const asmlp_detector* detector, int image,
                                       const asmlp_detection** detections, int* count) {
  return guarded([&] {
    checked(detections, "detections") = nullptr;
    checked(count, "count") = 0;
    const asmlp::OneCaller::Reading turn(checked(detector, "detector").caller);
    const asmlp_detector::Objects& objects = detector->objects(image);
    *detections = objects.detections.data();
    *count = static_cast<int>(objects.detections.size());
  });
}

asmlp_status asmlp_detector_mask(const asmlp_detector* detector, int image, int index,
                                 uint8_t* pixels, int height, int width, ptrdiff_t row_bytes,
                                 uint8_t inside) {
  return guarded([&] {
    const asmlp::OneCaller::Reading turn(checked(detector, "detector").caller);
    const asmlp_detector::Objects& objects = detector->objects(image);
    require(index >= 0 && static_cast<size_t>(index) < objects.masks.size(),
            ErrorCode::kInvalidArgument, "there is no detection {}; image {} has {}", index, image,
            objects.masks.size());
    const asmlp::Mask& mask = objects.masks[static_cast<size_t>(index)];
    require(!mask.empty(), ErrorCode::kUnsupported,
            "the detections have no masks: the model has none, or no_masks is set");
    require(height == mask.height && width == mask.width, ErrorCode::kMismatch,
            "the output has room for {} x {} pixels, exactly {} x {} are needed", height, width,
            mask.height, mask.width);
    asmlp::mask_bitmap(mask, &checked(pixels, "pixels"), row_bytes, inside);
  });
}
