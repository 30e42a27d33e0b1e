// The C API: segmentors, which keep the results of their last run.
#include "asmlp/api/c_handles.h"
#include "asmlp/api/segment_runner.h"

struct asmlp_segmentor {
  asmlp::SegmentRunner runner;
  std::vector<asmlp::Segmentation> last = {};
  std::vector<std::vector<asmlp_class_share>> shares = {};  // of `last`, as C sees them
  asmlp::OneCaller caller = {};                             // of both, too

  // Replaces the results; after an error there are none.
  template <typename... Input>
  void run(const Input&... input) {
    const asmlp::OneCaller::Writing turn(caller);
    last.clear(), shares.clear();
    std::vector<asmlp::Segmentation> found = runner.run(input...);
    const std::vector<std::string>& names = runner.model().info().classes;
    for (const asmlp::Segmentation& image : found) {
      std::vector<asmlp_class_share>& seen = shares.emplace_back();
      for (const asmlp::ClassShare& s : image.shares) {
        seen.push_back({s.label, s.share, names[static_cast<size_t>(s.label)].c_str()});
      }
    }
    last = std::move(found);
  }
  size_t checked_image(int image) const {
    asmlp::require(!last.empty(), asmlp::ErrorCode::kInvalidArgument,
                   "there are no results: nothing has been run, or the last run failed");
    asmlp::require(image >= 0 && static_cast<size_t>(image) < last.size(),
                   asmlp::ErrorCode::kInvalidArgument, "there is no image {}; the last run had {}",
                   image, last.size());
    return static_cast<size_t>(image);
  }
};

using asmlp::checked;
using asmlp::guarded;

asmlp_status asmlp_segmentor_create(const asmlp_model* model, const asmlp_segment_options* options,
                                    asmlp_segmentor** segmentor) {
  return guarded([&] {
    checked(segmentor, "segmentor") = nullptr;
    const asmlp_segment_options chosen = options != nullptr ? *options : asmlp_segment_options{};
    asmlp::SegmentOptions segment;
    segment.threads = chosen.threads;
    segment.short_side = chosen.short_side;
    segment.long_side = chosen.long_side;
    segment.multi_scale = asmlp::is_set(chosen.multi_scale, "multi_scale");
    segment.flip = asmlp::is_set(chosen.flip, "flip");
    segment.window = chosen.window;
    segment.window_stride = chosen.window_stride;
    segment.full_size = asmlp::is_set(chosen.full_size, "full_size");
    segment.reading = asmlp::reading_of(chosen.exif, chosen.max_pixels);
    *segmentor = new asmlp_segmentor{asmlp::SegmentRunner(checked(model, "model").model, segment)};
  });
}

void asmlp_segmentor_free(asmlp_segmentor* segmentor) {
  if (segmentor == nullptr) return;
  // A child of a fork in the middle of a call leaves the half-changed memory behind.
  if (segmentor->caller.left_half_done()) return;
  delete segmentor;
}

asmlp_status asmlp_segmentor_run_images(asmlp_segmentor* segmentor, const asmlp_image* images,
                                        int count) {
  return guarded([&] { checked(segmentor, "segmentor").run(asmlp::views_of(images, count)); });
}

asmlp_status asmlp_segmentor_run_file(asmlp_segmentor* segmentor, const char* file) {
  return guarded([&] {
    checked(segmentor, "segmentor");
    segmentor->run(std::filesystem::path(&checked(file, "file")));
  });
}

asmlp_status asmlp_segmentor_run_encoded(asmlp_segmentor* segmentor, const void* bytes,
                                         size_t size) {
  return guarded([&] { checked(segmentor, "segmentor").run(bytes, size); });
}

asmlp_status asmlp_segmentor_run_tensor(asmlp_segmentor* segmentor, const float* nchw, int batch,
                                        int height, int width) {
  return guarded([&] {
    checked(segmentor, "segmentor");
    checked(nchw, "nchw");
    const int channels = segmentor->runner.model().info().in_channels;
    segmentor->run(asmlp::TensorView{nchw, batch, channels, height, width});
  });
}

asmlp_status asmlp_segmentor_run_into(asmlp_segmentor* segmentor, const asmlp_image* image,
                                      uint8_t* labels, ptrdiff_t row_bytes) {
  return guarded([&] {
    checked(segmentor, "segmentor");
    checked(image, "image");
    const asmlp::OneCaller::Writing turn(segmentor->caller);
    segmentor->last.clear(), segmentor->shares.clear();
    const asmlp::ImageView view = asmlp::views_of(image, 1).front();
    segmentor->runner.run(view, {&checked(labels, "labels"), view.height, view.width, row_bytes});
  });
}

asmlp_status asmlp_segmentor_labels(const asmlp_segmentor* segmentor, int image,
                                    const uint8_t** labels, int* height, int* width) {
  return guarded([&] {
    checked(labels, "labels") = nullptr;
    checked(height, "height") = 0;
    checked(width, "width") = 0;
    const asmlp::OneCaller::Reading turn(checked(segmentor, "segmentor").caller);
    const asmlp::Segmentation& found = segmentor->last[segmentor->checked_image(image)];
    *labels = found.labels.data();
    *height = found.height;
    *width = found.width;
  });
}

asmlp_status asmlp_segmentor_shares(const asmlp_segmentor* segmentor, int image,
                                    const asmlp_class_share** shares, int* count) {
  return guarded([&] {
    checked(shares, "shares") = nullptr;
    checked(count, "count") = 0;
    const asmlp::OneCaller::Reading turn(checked(segmentor, "segmentor").caller);
    const auto& found = segmentor->shares[segmentor->checked_image(image)];
    *shares = found.data();
    *count = static_cast<int>(found.size());
  });
}
