// The C API: engines, which are batch runners that keep the results of their last run.
#include "asmlp/api/batch_runner.h"
#include "asmlp/api/c_handles.h"
#include "asmlp/metrics/topk.h"

struct asmlp_engine {
  asmlp::BatchRunner runner;
  asmlp::Keep keep;
  asmlp::Collected last = {};
  asmlp::OneCaller caller = {};  // of `last`, too

  // Replaces the results; after an error there are none.
  template <typename Input>
  void run(const Input& input) {
    const asmlp::OneCaller::Writing turn(caller);
    last = {};
    last = asmlp::collect(runner, input);
  }
  const asmlp::Collected& results() const {
    asmlp::require(last.features.batch > 0, asmlp::ErrorCode::kInvalidArgument,
                   "there are no results: nothing has been run, or the last run failed");
    return last;
  }
};

using asmlp::checked;
using asmlp::ErrorCode;
using asmlp::guarded;
using asmlp::require;

asmlp_status asmlp_engine_create(const asmlp_model* model, const asmlp_run_options* options,
                                 asmlp_engine** engine) {
  return guarded([&] {
    checked(engine, "engine") = nullptr;
    const asmlp_run_options chosen = options != nullptr ? *options : asmlp_run_options{};
    asmlp::RunOptions run;
    run.threads = chosen.threads;
    run.image_size = chosen.image_size;
    if (chosen.max_batch != 0) run.max_batch = chosen.max_batch;
    run.reading = asmlp::reading_of(chosen.exif, chosen.max_pixels);
    const bool features = asmlp::is_set(chosen.features, "features");
    const auto keep = features ? asmlp::Keep::kFeatures : asmlp::Keep::kLogits;
    *engine = new asmlp_engine{asmlp::BatchRunner(checked(model, "model").model, run, keep), keep};
  });
}

void asmlp_engine_free(asmlp_engine* engine) {
  if (engine == nullptr) return;
  // A child of a fork in the middle of a call leaves the half-changed memory behind.
  if (engine->caller.left_half_done()) return;
  delete engine;
}

asmlp_status asmlp_engine_run_images(asmlp_engine* engine, const asmlp_image* images, int count) {
  return guarded([&] { checked(engine, "engine").run(asmlp::views_of(images, count)); });
}

asmlp_status asmlp_engine_run_file(asmlp_engine* engine, const char* file) {
  return guarded([&] {
    checked(engine, "engine");
    checked(file, "file");
    const asmlp::DecodedImage image = asmlp::read_image(file, engine->runner.reading());
    engine->run(std::vector<asmlp::ImageView>{image.view()});
  });
}

asmlp_status asmlp_engine_run_encoded(asmlp_engine* engine, const void* bytes, size_t size) {
  return guarded([&] {
    checked(engine, "engine");
    const asmlp::DecodedImage image = asmlp::read_image(bytes, size, engine->runner.reading());
    engine->run(std::vector<asmlp::ImageView>{image.view()});
  });
}

asmlp_status asmlp_engine_run_tensor(asmlp_engine* engine, const float* nchw, int batch, int height,
                                     int width) {
  return guarded([&] {
    checked(engine, "engine");
    checked(nchw, "nchw");
    engine->run(
        asmlp::TensorView{nchw, batch, engine->runner.model().info().in_channels, height, width});
  });
}

asmlp_status asmlp_engine_top_k(const asmlp_engine* engine, int image, int k,
                                asmlp_prediction* predictions) {
  return guarded([&] {
    const asmlp::OneCaller::Reading turn(checked(engine, "engine").caller);
    const asmlp::Collected& last = engine->results();
    checked(predictions, "predictions");
    require(k >= 1, ErrorCode::kInvalidArgument, "k is {}, must be at least 1", k);
    require(image >= 0 && image < last.features.batch, ErrorCode::kInvalidArgument,
            "there is no image {}; the last run had {}", image, last.features.batch);
    const asmlp::ModelInfo& info = engine->runner.model().info();
    require(info.is_classifier, ErrorCode::kUnsupported,
            "the model has no head, so it cannot classify");
    const size_t classes = static_cast<size_t>(info.num_classes);
    const auto logits =
        std::span(last.logits).subspan(static_cast<size_t>(image) * classes, classes);
    const std::vector<float> probabilities = asmlp::softmax(logits);
    for (int i = 0; i < k; ++i) predictions[i] = {-1, 0.0f, ""};
    for (int index : asmlp::top_k(logits, k)) {
      const size_t at = static_cast<size_t>(index);
      *predictions++ = {index, probabilities[at], info.classes[at].c_str()};
    }
  });
}

asmlp_status asmlp_engine_logits(const asmlp_engine* engine, const float** values) {
  return guarded([&] {
    checked(values, "values") = nullptr;
    const asmlp::OneCaller::Reading turn(checked(engine, "engine").caller);
    const asmlp::Collected& last = engine->results();
    require(!last.logits.empty(), ErrorCode::kUnsupported, "the model has no head, so no logits");
    *values = last.logits.data();
  });
}

asmlp_status asmlp_engine_embedding(const asmlp_engine* engine, const float** values) {
  return guarded([&] {
    checked(values, "values") = nullptr;
    const asmlp::OneCaller::Reading turn(checked(engine, "engine").caller);
    *values = engine->results().features.embedding.data();
  });
}

asmlp_status asmlp_engine_feature(const asmlp_engine* engine, int feature, const float** values,
                                  int64_t shape[4]) {
  return guarded([&] {
    checked(values, "values") = nullptr;
    checked(shape, "shape");
    const asmlp::OneCaller::Reading turn(checked(engine, "engine").caller);
    require(engine->keep == asmlp::Keep::kFeatures, ErrorCode::kInvalidArgument,
            "this engine keeps no feature maps; set asmlp_run_options.features");
    const asmlp::Features& last = engine->results().features;
    require(feature >= 0 && static_cast<size_t>(feature) < last.maps.size(),
            ErrorCode::kInvalidArgument, "there is no feature map {}; the model has {}", feature,
            last.maps.size());
    const asmlp::FeatureMap& map = last.maps[static_cast<size_t>(feature)];
    *values = map.values.data();
    shape[0] = last.batch;
    shape[1] = map.channels;
    shape[2] = map.height;
    shape[3] = map.width;
  });
}
