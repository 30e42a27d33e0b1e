// The C API: models.
#include "asmlp/api/c_handles.h"

using asmlp::checked;
using asmlp::ErrorCode;
using asmlp::guarded;
using asmlp::require;

namespace {

asmlp::LoadOptions load_options(const asmlp_load_options& options) {
  require(options.precision >= ASMLP_PRECISION_FP32 && options.precision <= ASMLP_PRECISION_INT8,
          ErrorCode::kInvalidArgument, "precision is {}, which is none of asmlp_precision",
          static_cast<int>(options.precision));
  require(options.isa >= ASMLP_ISA_AUTO && options.isa <= ASMLP_ISA_AVX512_AMX,
          ErrorCode::kInvalidArgument, "isa is {}, which is none of asmlp_isa",
          static_cast<int>(options.isa));
  asmlp::LoadOptions result;
  result.precision = static_cast<asmlp::Precision>(options.precision);
  result.isa = static_cast<asmlp::Isa>(options.isa);
  result.shift_h = options.shift_h;
  result.shift_w = options.shift_w;
  if (options.config != nullptr) result.config = options.config;
  return result;
}

// Text `index` of a model's list of `what`.
const char* text_at(const std::vector<std::string>& texts, int index, const char* what) {
  require(index >= 0 && static_cast<size_t>(index) < texts.size(), ErrorCode::kInvalidArgument,
          "there is no {} {}; the model has {}", what, index, texts.size());
  return texts[static_cast<size_t>(index)].c_str();
}

}  // namespace

asmlp_status asmlp_model_load(const char* file, const asmlp_load_options* options,
                              asmlp_model** model) {
  return guarded([&] {
    checked(model, "model") = nullptr;
    checked(file, "file");
    asmlp::LoadResult loaded =
        asmlp::load_model(file, options != nullptr ? load_options(*options) : asmlp::LoadOptions());
    *model = new asmlp_model{std::move(loaded.model), std::move(loaded.notes)};
  });
}

void asmlp_model_free(asmlp_model* model) { delete model; }

asmlp_status asmlp_model_get_info(const asmlp_model* model, asmlp_model_info* info) {
  return guarded([&] {
    const asmlp::ModelInfo& own = checked(model, "model").model->info();
    checked(info, "info") = {.task = static_cast<asmlp_task>(own.task),
                             .is_classifier = own.is_classifier ? 1 : 0,
                             .precision = static_cast<asmlp_precision>(own.precision),
                             .isa = static_cast<asmlp_isa>(own.isa),
                             .num_notes = static_cast<int>(model->notes.size()),
                             .in_channels = own.in_channels,
                             .num_classes = own.num_classes,
                             .image_size = own.image_size,
                             .embedding_size = own.embedding_size,
                             .num_features = static_cast<int>(own.features.size()),
                             .parameters = own.parameters,
                             .multiply_adds = own.multiply_adds,
                             .short_side = own.short_side,
                             .long_side = own.long_side};
  });
}

asmlp_status asmlp_model_name(const asmlp_model* model, const char** name) {
  return guarded([&] { checked(name, "name") = checked(model, "model").model->name().c_str(); });
}

asmlp_status asmlp_model_description(const asmlp_model* model, const char** json) {
  return guarded(
      [&] { checked(json, "json") = checked(model, "model").model->info().description.c_str(); });
}

asmlp_status asmlp_model_class(const asmlp_model* model, int index, const char** label) {
  return guarded([&] {
    const auto& classes = checked(model, "model").model->info().classes;
    checked(label, "label") = text_at(classes, index, "class");
  });
}

asmlp_status asmlp_model_note(const asmlp_model* model, int index, const char** note) {
  return guarded(
      [&] { checked(note, "note") = text_at(checked(model, "model").notes, index, "note"); });
}

asmlp_status asmlp_model_feature_shape(const asmlp_model* model, int feature, int height, int width,
                                       int64_t shape[3]) {
  return guarded([&] {
    checked(shape, "shape");
    const asmlp::FeatureShape own =
        checked(model, "model").model->feature_shape(feature, height, width);
    shape[0] = own.channels;
    shape[1] = own.height;
    shape[2] = own.width;
  });
}
