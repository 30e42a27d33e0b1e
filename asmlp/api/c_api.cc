// The C API: opaque handles around the C++ one, exceptions turned into status codes.
#include <new>

#include "asmlp.h"
#include "asmlp/api/batch_runner.h"
#include "asmlp/core/error.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/config.h"

namespace asmlp {
namespace {

// Shared by a model's handle and its engines, which hand out pointers into `info`.
struct LoadedModel {
  std::shared_ptr<const Model> model;
  ModelInfo info;
};

thread_local std::string last_error;
thread_local const char* last_error_text = "";

// Remembers a message even when there is no memory for it.
void remember(const char* message) noexcept {
  try {
    last_error = message;
    last_error_text = last_error.c_str();
  } catch (...) {
    last_error_text = "out of memory";
  }
}

asmlp_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return ASMLP_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return ASMLP_NOT_FOUND;
    case ErrorCode::kIo:
      return ASMLP_IO;
    case ErrorCode::kBadFormat:
      return ASMLP_BAD_FORMAT;
    case ErrorCode::kUnsupported:
      return ASMLP_UNSUPPORTED;
    case ErrorCode::kMismatch:
      return ASMLP_MISMATCH;
    case ErrorCode::kTooLarge:
      return ASMLP_TOO_LARGE;
    case ErrorCode::kInterrupted:
      return ASMLP_INTERRUPTED;
  }
  return ASMLP_INTERNAL;
}

// Runs `body`; whatever it throws becomes a status and a message.
template <typename Body>
asmlp_status guarded(const Body& body) noexcept {
  try {
    body();
    return ASMLP_OK;
  } catch (const Error& error) {
    remember(error.what());
    return status_of(error.code());
  } catch (const std::bad_alloc&) {
    remember("out of memory; use a smaller image or batch");
    return ASMLP_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    remember(error.what());
  } catch (...) {
    remember("an exception of an unknown type");
  }
  return ASMLP_INTERNAL;
}

template <typename T>
T& checked(T* pointer, const char* name) {
  require(pointer != nullptr, ErrorCode::kInvalidArgument, "{} is NULL", name);
  return *pointer;
}

std::string text(const char* text) { return text != nullptr ? text : ""; }

}  // namespace
}  // namespace asmlp

struct asmlp_model {
  std::shared_ptr<const asmlp::LoadedModel> loaded;
};

struct asmlp_engine {
  std::shared_ptr<const asmlp::LoadedModel> loaded;
  asmlp::BatchRunner runner;
  asmlp::Keep keep;
  asmlp::Collected last = {};

  // Replaces the results; after an error there are none.
  template <typename Input>
  void run(const Input& input) {
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

const char* asmlp_version(void) { return asmlp::version(); }
int asmlp_version_number(void) { return ASMLP_VERSION_NUMBER; }
const char* asmlp_last_error(void) { return asmlp::last_error_text; }

const char* asmlp_status_name(asmlp_status status) {
  if (status == ASMLP_OK) return "ok";
  if (status == ASMLP_OUT_OF_MEMORY) return "out_of_memory";
  if (status == ASMLP_INTERNAL) return "internal";
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInterrupted); ++code) {
    if (asmlp::status_of(ErrorCode{code}) == status) return asmlp::to_string(ErrorCode{code});
  }
  return "unknown";
}

asmlp_status asmlp_model_load(const char* file, const asmlp_load_options* options,
                              asmlp_model** model) {
  return guarded([&] {
    checked(model, "model") = nullptr;
    checked(file, "file");
    asmlp::LoadSettings settings;
    if (options != nullptr) {
      if (options->precision != nullptr) settings.precision = options->precision;
      settings.isa = asmlp::text(options->isa);
      settings.shift_h = options->shift_h;
      settings.shift_w = options->shift_w;
      settings.config = asmlp::text(options->config);
    }
    auto loaded = std::make_shared<asmlp::LoadedModel>();
    loaded->model = asmlp::load_model(file, settings);
    loaded->info = asmlp::model_info(*loaded->model);
    *model = new asmlp_model{std::move(loaded)};
  });
}

void asmlp_model_free(asmlp_model* model) { delete model; }

asmlp_status asmlp_model_get_info(const asmlp_model* model, asmlp_model_info* info) {
  return guarded([&] {
    const asmlp::ModelInfo& own = checked(model, "model").loaded->info;
    checked(info, "info") = {own.in_channels,
                             own.num_classes,
                             own.image_size,
                             own.embedding_size,
                             static_cast<int>(own.features.size()),
                             own.parameters,
                             own.multiply_adds};
  });
}

asmlp_status asmlp_model_name(const asmlp_model* model, const char** name) {
  return guarded(
      [&] { checked(name, "name") = checked(model, "model").loaded->info.name.c_str(); });
}

asmlp_status asmlp_model_description(const asmlp_model* model, const char** json) {
  return guarded(
      [&] { checked(json, "json") = checked(model, "model").loaded->info.description.c_str(); });
}

asmlp_status asmlp_model_class(const asmlp_model* model, int index, const char** label) {
  return guarded([&] {
    const auto& classes = checked(model, "model").loaded->info.classes;
    require(index >= 0 && static_cast<size_t>(index) < classes.size(), ErrorCode::kInvalidArgument,
            "there is no class {}; the model has {}", index, classes.size());
    checked(label, "label") = classes[static_cast<size_t>(index)].c_str();
  });
}

asmlp_status asmlp_model_feature_shape(const asmlp_model* model, int feature, int height, int width,
                                       int64_t shape[3]) {
  return guarded([&] {
    const asmlp::Config& config = checked(model, "model").loaded->model->config();
    checked(shape, "shape");
    require(feature >= 0 && feature <= config.num_stages(), ErrorCode::kInvalidArgument,
            "there is no feature map {}; the model has {}", feature, config.num_stages() + 1);
    require(height >= 1 && height <= 16384 && width >= 1 && width <= 16384,
            ErrorCode::kInvalidArgument, "input size {} x {} is outside 1..16384 pixels", height,
            width);
    const int stage = std::min(feature, config.num_stages() - 1);
    const asmlp::MapSize size =
        asmlp::stage_sizes(config, height, width)[static_cast<size_t>(stage)];
    shape[0] = config.dim(stage);
    shape[1] = size.h;
    shape[2] = size.w;
  });
}

asmlp_status asmlp_engine_create(const asmlp_model* model, const asmlp_engine_options* options,
                                 asmlp_engine** engine) {
  return guarded([&] {
    checked(engine, "engine") = nullptr;
    const auto& loaded = checked(model, "model").loaded;
    const asmlp_engine_options chosen = options != nullptr ? *options : asmlp_engine_options{};
    asmlp::RunSettings settings;
    settings.threads = chosen.threads;
    settings.image_size = chosen.image_size;
    if (chosen.max_batch != 0) settings.max_batch = chosen.max_batch;
    require(chosen.features == 0 || chosen.features == 1, ErrorCode::kInvalidArgument,
            "features is {}, must be 0 or 1", chosen.features);
    const auto keep = chosen.features == 1 ? asmlp::Keep::kFeatures : asmlp::Keep::kLogits;
    *engine = new asmlp_engine{loaded, asmlp::BatchRunner(loaded->model, settings, keep), keep};
  });
}

void asmlp_engine_free(asmlp_engine* engine) { delete engine; }

asmlp_status asmlp_engine_run_images(asmlp_engine* engine, const asmlp_image* images, int count) {
  return guarded([&] {
    checked(engine, "engine");
    checked(images, "images");
    require(count >= 1, ErrorCode::kInvalidArgument, "count is {}, must be at least 1", count);
    std::vector<asmlp::ImageView> views;
    for (int i = 0; i < count; ++i) {
      views.push_back({images[i].pixels, images[i].height, images[i].width, images[i].channels,
                       images[i].row_bytes});
    }
    engine->run(views);
  });
}

asmlp_status asmlp_engine_run_file(asmlp_engine* engine, const char* file) {
  return guarded([&] {
    checked(engine, "engine");
    checked(file, "file");
    const asmlp::DecodedImage image = asmlp::read_image(file);
    engine->run(std::vector<asmlp::ImageView>{image.view()});
  });
}

asmlp_status asmlp_engine_run_tensor(asmlp_engine* engine, const float* nchw, int batch, int height,
                                     int width) {
  return guarded([&] {
    checked(engine, "engine");
    checked(nchw, "nchw");
    engine->run(asmlp::TensorView{nchw, batch, engine->loaded->info.in_channels, height, width});
  });
}

asmlp_status asmlp_engine_top_k(const asmlp_engine* engine, int image, int k,
                                asmlp_prediction* predictions) {
  return guarded([&] {
    const asmlp::Collected& last = checked(engine, "engine").results();
    checked(predictions, "predictions");
    require(k >= 1, ErrorCode::kInvalidArgument, "k is {}, must be at least 1", k);
    require(image >= 0 && image < last.features.batch, ErrorCode::kInvalidArgument,
            "there is no image {}; the last run had {}", image, last.features.batch);
    const asmlp::ModelInfo& info = engine->loaded->info;
    require(info.num_classes > 0, ErrorCode::kUnsupported,
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
    const asmlp::Collected& last = checked(engine, "engine").results();
    require(!last.logits.empty(), ErrorCode::kUnsupported, "the model has no head, so no logits");
    *values = last.logits.data();
  });
}

asmlp_status asmlp_engine_embedding(const asmlp_engine* engine, const float** values) {
  return guarded([&] {
    checked(values, "values") = nullptr;
    *values = checked(engine, "engine").results().features.embedding.data();
  });
}

asmlp_status asmlp_engine_feature(const asmlp_engine* engine, int feature, const float** values,
                                  int64_t shape[4]) {
  return guarded([&] {
    checked(values, "values") = nullptr;
    checked(shape, "shape");
    require(checked(engine, "engine").keep == asmlp::Keep::kFeatures, ErrorCode::kInvalidArgument,
            "this engine keeps no feature maps; set asmlp_engine_options.features");
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
