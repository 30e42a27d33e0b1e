/* The C API from C99: every function, and what happens when it is used wrongly.
 * Arguments: a model of 10 classes and one channel, an image, a file that does not describe
 * itself. c_dense_test.c has detectors and segmentors. */
#include <asmlp/asmlp.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                 \
  do {                                                                   \
    if (!(condition)) {                                                  \
      printf("%d: %s [%s]\n", __LINE__, #condition, asmlp_last_error()); \
      ++failures;                                                        \
    }                                                                    \
  } while (0)

/* The call is refused with this status and a message that has `part` in it. */
#define REFUSED(call, status, part) \
  CHECK((call) == (status) && strstr(asmlp_last_error(), (part)) != NULL)

static void check_text(void) {
  int status;
  CHECK(strcmp(asmlp_last_error(), "") == 0);
  CHECK(strcmp(asmlp_version(), ASMLP_EXPECTED_VERSION) == 0);
  CHECK(asmlp_version_number() == ASMLP_EXPECTED_VERSION_NUMBER);
  CHECK(strcmp(asmlp_status_name(ASMLP_OK), "ok") == 0);
  CHECK(strcmp(asmlp_status_name(ASMLP_NOT_FOUND), "not_found") == 0);
  CHECK(strcmp(asmlp_status_name(ASMLP_INTERRUPTED), "interrupted") == 0);
  CHECK(strcmp(asmlp_status_name((asmlp_status)(ASMLP_BUSY + 1)), "unknown") == 0);
  CHECK(strcmp(asmlp_task_name(ASMLP_TASK_SEGMENT), "segment") == 0);
  CHECK(strcmp(asmlp_task_name((asmlp_task)3), "unknown") == 0);
  CHECK(strcmp(asmlp_precision_name(ASMLP_PRECISION_BF16), "bf16") == 0);
  CHECK(strcmp(asmlp_precision_name(ASMLP_PRECISION_INT8), "int8") == 0);
  CHECK(strcmp(asmlp_isa_name(ASMLP_ISA_AUTO), "auto") == 0);
  CHECK(strcmp(asmlp_isa_name(ASMLP_ISA_AVX512_AMX), "avx512_amx") == 0);
  CHECK(strcmp(asmlp_isa_name((asmlp_isa)(ASMLP_ISA_AVX512_AMX + 1)), "unknown") == 0);
  for (status = ASMLP_OK; status <= ASMLP_BUSY; ++status) {
    CHECK(strcmp(asmlp_status_name((asmlp_status)status), "unknown") != 0);
  }
}

static void check_load_errors(const char* file) {
  asmlp_model* model = (asmlp_model*)&failures; /* becomes NULL */
  asmlp_load_options options = {0};
  REFUSED(asmlp_model_load("/nowhere", NULL, &model), ASMLP_NOT_FOUND, "/nowhere");
  CHECK(model == NULL);
  REFUSED(asmlp_model_load(NULL, NULL, &model), ASMLP_INVALID_ARGUMENT, "file is NULL");
  REFUSED(asmlp_model_load(file, NULL, NULL), ASMLP_INVALID_ARGUMENT, "model is NULL");
  options.precision = (asmlp_precision)4;
  REFUSED(asmlp_model_load(file, &options, &model), ASMLP_INVALID_ARGUMENT, "precision is 4");
  options.precision = ASMLP_PRECISION_FP32;
  options.isa = (asmlp_isa)(ASMLP_ISA_AVX512_AMX + 1);
  REFUSED(asmlp_model_load(file, &options, &model), ASMLP_INVALID_ARGUMENT, "isa is 11");
  options.isa = ASMLP_ISA_AUTO;
  options.shift_h = 7;
  REFUSED(asmlp_model_load(file, &options, &model), ASMLP_MISMATCH, "shift size 7");
  options.shift_h = 0;
  options.config = "{\"embed_dim\": 8}";
  REFUSED(asmlp_model_load(file, &options, &model), ASMLP_MISMATCH, "");
  CHECK(model == NULL);
}

/* A file that says little of itself: what was assumed, and options that reach the model. */
static void check_notes(const char* file) {
  asmlp_model* model = NULL;
  asmlp_model_info info;
  asmlp_load_options options = {0};
  const char* note = NULL;
  int i, found = 0;
  options.precision = ASMLP_PRECISION_BF16;
  options.isa = ASMLP_ISA_REFERENCE;
  options.shift_w = 3;
  CHECK(asmlp_model_load(file, &options, &model) == ASMLP_OK);
  CHECK(asmlp_model_get_info(model, &info) == ASMLP_OK && info.num_notes > 0);
  CHECK(info.precision == ASMLP_PRECISION_BF16 && info.isa == ASMLP_ISA_REFERENCE);
  for (i = 0; i < info.num_notes; ++i) {
    CHECK(asmlp_model_note(model, i, &note) == ASMLP_OK);
    found += strstr(note, "shift size 3") != NULL;
  }
  CHECK(found == 1);
  REFUSED(asmlp_model_note(model, info.num_notes, &note), ASMLP_INVALID_ARGUMENT, "no note");
  REFUSED(asmlp_model_note(model, 0, NULL), ASMLP_INVALID_ARGUMENT, "note is NULL");
  REFUSED(asmlp_model_note(NULL, 0, &note), ASMLP_INVALID_ARGUMENT, "model is NULL");
  asmlp_model_free(model);
}

static void check_model(const asmlp_model* model) {
  asmlp_model_info info;
  const char* text = NULL;
  int64_t shape[3] = {0, 0, 0};
  CHECK(asmlp_model_get_info(model, &info) == ASMLP_OK);
  CHECK(info.task == ASMLP_TASK_CLASSIFY && info.is_classifier == 1 && info.num_notes == 0);
  CHECK(info.precision == ASMLP_PRECISION_FP32 && info.isa >= ASMLP_ISA_REFERENCE);
  CHECK(info.in_channels == 1 && info.num_classes == 10 && info.image_size == 28);
  CHECK(info.embedding_size == 160 && info.num_features == 4);
  CHECK(info.parameters == 748130 && info.multiply_adds > info.parameters);
  CHECK(info.short_side == 0 && info.long_side == 0);
  CHECK(asmlp_model_name(model, &text) == ASMLP_OK && strstr(text, "asmlp_nano") == text);
  CHECK(asmlp_model_description(model, &text) == ASMLP_OK && strstr(text, "\"embed_dim\"") != NULL);
  CHECK(asmlp_model_class(model, 9, &text) == ASMLP_OK && strcmp(text, "Ankle boot") == 0);
  REFUSED(asmlp_model_class(model, 10, &text), ASMLP_INVALID_ARGUMENT, "class 10");
  REFUSED(asmlp_model_class(model, -1, &text), ASMLP_INVALID_ARGUMENT, "class -1");
  CHECK(asmlp_model_feature_shape(model, 1, 31, 60, shape) == ASMLP_OK);
  CHECK(shape[0] == 80 && shape[1] == 8 && shape[2] == 15);
  REFUSED(asmlp_model_feature_shape(model, 4, 28, 28, shape), ASMLP_INVALID_ARGUMENT, "map 4");
  REFUSED(asmlp_model_feature_shape(model, 0, 0, 28, shape), ASMLP_INVALID_ARGUMENT, "0 x 28");
  REFUSED(asmlp_model_get_info(NULL, &info), ASMLP_INVALID_ARGUMENT, "model is NULL");
  REFUSED(asmlp_model_get_info(model, NULL), ASMLP_INVALID_ARGUMENT, "info is NULL");
  REFUSED(asmlp_model_name(NULL, &text), ASMLP_INVALID_ARGUMENT, "model is NULL");
  REFUSED(asmlp_model_description(model, NULL), ASMLP_INVALID_ARGUMENT, "json is NULL");
  REFUSED(asmlp_model_class(model, 0, NULL), ASMLP_INVALID_ARGUMENT, "label is NULL");
  REFUSED(asmlp_model_feature_shape(model, 0, 28, 28, NULL), ASMLP_INVALID_ARGUMENT, "shape");
}

static void check_engine_options(const asmlp_model* model) {
  asmlp_engine* engine = NULL;
  asmlp_run_options options = {0};
  const float* values = NULL;
  int64_t shape[4];
  options.threads = -1;
  REFUSED(asmlp_engine_create(model, &options, &engine), ASMLP_INVALID_ARGUMENT, "-1");
  options.threads = 0;
  options.features = 2;
  REFUSED(asmlp_engine_create(model, &options, &engine), ASMLP_INVALID_ARGUMENT, "features is 2");
  options.features = 0;
  options.exif = (asmlp_exif)2;
  REFUSED(asmlp_engine_create(model, &options, &engine), ASMLP_INVALID_ARGUMENT, "exif is 2");
  REFUSED(asmlp_engine_create(NULL, NULL, &engine), ASMLP_INVALID_ARGUMENT, "model is NULL");
  REFUSED(asmlp_engine_create(model, NULL, NULL), ASMLP_INVALID_ARGUMENT, "engine is NULL");
  CHECK(engine == NULL);
  CHECK(asmlp_engine_create(model, NULL, &engine) == ASMLP_OK);
  REFUSED(asmlp_engine_logits(engine, &values), ASMLP_INVALID_ARGUMENT, "no results");
  REFUSED(asmlp_engine_feature(engine, 0, &values, shape), ASMLP_INVALID_ARGUMENT, "features");
  /* A gray picture of 2 x 1 pixels in memory; one pixel more is too large for the options below. */
  CHECK(asmlp_engine_run_encoded(engine, "P5 2 1 255 ab", 13) == ASMLP_OK);
  CHECK(asmlp_engine_logits(engine, &values) == ASMLP_OK && values != NULL);
  REFUSED(asmlp_engine_run_encoded(engine, NULL, 13), ASMLP_INVALID_ARGUMENT, "null");
  REFUSED(asmlp_engine_run_encoded(NULL, "P5", 2), ASMLP_INVALID_ARGUMENT, "engine is NULL");
  asmlp_engine_free(engine);
  options.exif = ASMLP_EXIF_IGNORE;
  options.max_pixels = 2;
  CHECK(asmlp_engine_create(model, &options, &engine) == ASMLP_OK);
  CHECK(asmlp_engine_run_encoded(engine, "P5 2 1 255 ab", 13) == ASMLP_OK);
  REFUSED(asmlp_engine_run_encoded(engine, "P5 3 1 255 abc", 14), ASMLP_TOO_LARGE, "pixels");
  asmlp_engine_free(engine);
}

/* Images and tensors; the model has been freed, the engine keeps what it needs. */
static void check_engine(asmlp_engine* engine, const char* file) {
  static uint8_t pixels[3 * 20 * 30];
  static float zeros[9 * 28 * 40];
  asmlp_image images[3] = {{0}};
  asmlp_prediction best[12], again[12];
  const float *values = NULL, *embedding = NULL;
  int64_t shape[4] = {0, 0, 0, 0};
  int i;
  for (i = 0; i < (int)sizeof(pixels); ++i) pixels[i] = (uint8_t)(i * 7);
  for (i = 0; i < 3; ++i) {
    images[i].pixels = pixels;
    images[i].height = 20;
    images[i].width = i == 2 ? 30 : 15;
    images[i].channels = i == 2 ? 1 : 3;
    images[i].row_bytes = i == 0 ? 60 : 0;
  }
  CHECK(asmlp_engine_run_images(engine, images, 3) == ASMLP_OK);
  CHECK(asmlp_engine_logits(engine, &values) == ASMLP_OK);
  CHECK(values[0] != values[10] && values[10] != values[20]);
  CHECK(asmlp_engine_top_k(engine, 2, 12, best) == ASMLP_OK);
  for (i = 0; i < 10; ++i) {
    CHECK(best[i].index >= 0 && best[i].index < 10 && best[i].label[0] != '\0');
    if (i > 0) CHECK(values[20 + best[i].index] <= values[20 + best[i - 1].index]);
  }
  CHECK(best[10].index == -1 && best[11].probability == 0 && best[11].label[0] == '\0');
  CHECK(asmlp_engine_run_images(engine, images + 2, 1) == ASMLP_OK);
  CHECK(asmlp_engine_top_k(engine, 0, 10, again) == ASMLP_OK);
  for (i = 0; i < 10; ++i) {
    CHECK(best[i].index == again[i].index && best[i].probability == again[i].probability);
  }

  CHECK(asmlp_engine_run_tensor(engine, zeros, 9, 28, 40) == ASMLP_OK);
  CHECK(asmlp_engine_feature(engine, 3, &values, shape) == ASMLP_OK);
  CHECK(shape[0] == 9 && shape[1] == 160 && shape[2] == 4 && shape[3] == 5);
  CHECK(values[0] == values[8 * 160 * 4 * 5]);
  CHECK(asmlp_engine_embedding(engine, &embedding) == ASMLP_OK);
  CHECK(embedding[0] == embedding[8 * 160] && embedding[0] != embedding[1]);

  REFUSED(asmlp_engine_feature(engine, 4, &values, shape), ASMLP_INVALID_ARGUMENT, "map 4");
  CHECK(values == NULL);
  REFUSED(asmlp_engine_feature(engine, 0, &values, NULL), ASMLP_INVALID_ARGUMENT, "shape is NULL");
  REFUSED(asmlp_engine_top_k(engine, 9, 1, best), ASMLP_INVALID_ARGUMENT, "image 9");
  REFUSED(asmlp_engine_top_k(engine, 0, 0, best), ASMLP_INVALID_ARGUMENT, "k is 0");
  REFUSED(asmlp_engine_top_k(engine, 0, 1, NULL), ASMLP_INVALID_ARGUMENT, "predictions");
  REFUSED(asmlp_engine_logits(NULL, &values), ASMLP_INVALID_ARGUMENT, "engine is NULL");
  REFUSED(asmlp_engine_logits(engine, NULL), ASMLP_INVALID_ARGUMENT, "values is NULL");
  REFUSED(asmlp_engine_embedding(engine, NULL), ASMLP_INVALID_ARGUMENT, "values is NULL");
  REFUSED(asmlp_engine_run_images(NULL, images, 1), ASMLP_INVALID_ARGUMENT, "engine is NULL");
  REFUSED(asmlp_engine_run_images(engine, NULL, 1), ASMLP_INVALID_ARGUMENT, "images is NULL");
  REFUSED(asmlp_engine_run_images(engine, images, 0), ASMLP_INVALID_ARGUMENT, "count is 0");
  REFUSED(asmlp_engine_run_file(engine, NULL), ASMLP_INVALID_ARGUMENT, "file is NULL");
  REFUSED(asmlp_engine_run_file(engine, "/nowhere.png"), ASMLP_NOT_FOUND, "/nowhere.png");
  REFUSED(asmlp_engine_run_tensor(engine, NULL, 1, 28, 28), ASMLP_INVALID_ARGUMENT, "nchw");
  CHECK(asmlp_engine_run_file(engine, file) == ASMLP_OK);
  REFUSED(asmlp_engine_run_tensor(engine, zeros, 1, 0, 28), ASMLP_INVALID_ARGUMENT, "0 x 28");
  REFUSED(asmlp_engine_logits(engine, &values), ASMLP_INVALID_ARGUMENT, "last run failed");
  CHECK(asmlp_engine_run_file(engine, file) == ASMLP_OK);
}

int main(int argc, char** argv) {
  asmlp_model* model = NULL;
  asmlp_engine* engine = NULL;
  asmlp_run_options options = {0};
  if (argc != 4) return 2;
  check_text();
  check_load_errors(argv[1]);
  check_notes(argv[3]);
  CHECK(asmlp_model_load(argv[1], NULL, &model) == ASMLP_OK);
  check_model(model);
  check_engine_options(model);
  options.features = 1;
  options.threads = 2;
  options.max_batch = 2;
  CHECK(asmlp_engine_create(model, &options, &engine) == ASMLP_OK);
  asmlp_model_free(model);
  check_engine(engine, argv[2]);
  asmlp_engine_free(engine);
  asmlp_engine_free(NULL);
  asmlp_model_free(NULL);
  if (failures == 0) printf("the C API does what asmlp.h says\n");
  return failures != 0;
}
