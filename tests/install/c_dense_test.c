/* Detectors and segmentors from C99: every function, and what happens when it is used wrongly.
 * Arguments: a classifier, a detector, a segmentor, an image with objects. */
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

/* 0 within the runs that are counted first, third, ... */
static int pixel_of(const asmlp_detection* d, int at) {
  size_t run = 0;
  int64_t end = d->mask_counts[0];
  while (at >= end) end += d->mask_counts[++run];
  return (int)(run % 2);
}

static void check_detector(const char* file, const char* image) {
  static uint8_t bitmap[512 * 512];
  static float zeros[2 * 3 * 64 * 64];
  asmlp_model* model = NULL;
  asmlp_model_info info;
  asmlp_detector* detector = NULL;
  asmlp_engine* engine = NULL;
  asmlp_detect_options options = {0};
  const asmlp_detection *found = NULL, *again = NULL;
  const float* values = NULL;
  const char* name = NULL;
  int i, count = -1, others = -1, height, width, area = 0;
  float best;
  CHECK(asmlp_model_load(file, NULL, &model) == ASMLP_OK);
  CHECK(asmlp_model_get_info(model, &info) == ASMLP_OK && info.task == ASMLP_TASK_DETECT);
  CHECK(info.is_classifier == 0 && info.num_classes == 10);
  CHECK(info.short_side > 0 && info.long_side >= info.short_side);
  options.score_threshold = 1;
  REFUSED(asmlp_detector_create(model, &options, &detector), ASMLP_INVALID_ARGUMENT, "threshold");
  options.score_threshold = 0;
  options.no_masks = 2;
  REFUSED(asmlp_detector_create(model, &options, &detector), ASMLP_INVALID_ARGUMENT, "no_masks");
  options.no_masks = 0;
  options.tile_whole = 1;
  REFUSED(asmlp_detector_create(model, &options, &detector), ASMLP_INVALID_ARGUMENT, "tile");
  options.tile_whole = 0;
  options.exif = (asmlp_exif)2;
  REFUSED(asmlp_detector_create(model, &options, &detector), ASMLP_INVALID_ARGUMENT, "exif is 2");
  REFUSED(asmlp_detector_create(NULL, NULL, &detector), ASMLP_INVALID_ARGUMENT, "model is NULL");
  REFUSED(asmlp_detector_create(model, NULL, NULL), ASMLP_INVALID_ARGUMENT, "detector is NULL");
  CHECK(asmlp_detector_create(model, NULL, &detector) == ASMLP_OK);
  REFUSED(asmlp_detector_detections(detector, 0, &found, &count), ASMLP_INVALID_ARGUMENT,
          "no results");
  CHECK(asmlp_detector_run_file(detector, image) == ASMLP_OK);
  CHECK(asmlp_detector_detections(detector, 0, &found, &count) == ASMLP_OK && count > 0);
  if (count < 1) return;
  best = found[0].score;
  CHECK(asmlp_model_class(model, found[0].label, &name) == ASMLP_OK);
  CHECK(strcmp(found[0].name, name) == 0 && found[0].x2 > found[0].x1 && best > 0 && best <= 1);
  for (i = 1; i < count; ++i) CHECK(found[i].score <= found[i - 1].score);
  CHECK(found[0].mask_counts != NULL && found[0].num_mask_counts > 1);
  for (i = 0; (size_t)i < found[0].num_mask_counts; ++i) area += (int)found[0].mask_counts[i];
  height = found[0].mask_height;
  width = found[0].mask_width;
  CHECK(height > 0 && width > 0 && area == height * width && area <= (int)sizeof(bitmap));
  CHECK(asmlp_detector_mask(detector, 0, 0, bitmap, height, width, 0, 9) == ASMLP_OK);
  for (i = 0; i < area; ++i) {
    CHECK(bitmap[i % height * width + i / height] == 9 * pixel_of(&found[0], i));
  }
  REFUSED(asmlp_detector_mask(detector, 0, 0, bitmap, height + 1, width, 0, 1), ASMLP_MISMATCH,
          "room for");
  REFUSED(asmlp_detector_mask(detector, 0, 0, bitmap, height, width, 1, 1), ASMLP_INVALID_ARGUMENT,
          "overlap");
  REFUSED(asmlp_detector_mask(detector, 0, count, bitmap, height, width, 0, 1),
          ASMLP_INVALID_ARGUMENT, "no detection");
  REFUSED(asmlp_detector_mask(detector, 0, 0, NULL, height, width, 0, 1), ASMLP_INVALID_ARGUMENT,
          "pixels is NULL");
  REFUSED(asmlp_detector_detections(detector, 1, &found, &others), ASMLP_INVALID_ARGUMENT,
          "image 1");
  CHECK(found == NULL && others == 0);
  REFUSED(asmlp_detector_detections(detector, 0, NULL, &others), ASMLP_INVALID_ARGUMENT,
          "detections is NULL");
  REFUSED(asmlp_detector_detections(detector, 0, &found, NULL), ASMLP_INVALID_ARGUMENT,
          "count is NULL");
  CHECK(asmlp_detector_run_tensor(detector, zeros, 2, 64, 64) == ASMLP_OK);
  CHECK(asmlp_detector_detections(detector, 1, &found, &others) == ASMLP_OK);
  {
    asmlp_image images[2] = {{0}, {0}};
    static uint8_t pixels[3 * 40 * 50];
    for (i = 0; i < (int)sizeof(pixels); ++i) pixels[i] = (uint8_t)(i * 7);
    images[0].pixels = images[1].pixels = pixels;
    images[0].height = images[1].height = 40;
    images[0].width = images[1].width = 50;
    images[0].channels = 3;
    images[0].order = ASMLP_BGR;
    images[1].channels = 1;
    images[1].row_bytes = 60;
    CHECK(asmlp_detector_run_images(detector, images, 2) == ASMLP_OK);
    CHECK(asmlp_detector_detections(detector, 1, &again, &others) == ASMLP_OK);
    images[1].order = (asmlp_channel_order)2;
    REFUSED(asmlp_detector_run_images(detector, images, 2), ASMLP_INVALID_ARGUMENT, "order 2");
    REFUSED(asmlp_detector_run_images(detector, NULL, 2), ASMLP_INVALID_ARGUMENT, "images is NULL");
    REFUSED(asmlp_detector_run_images(detector, images, 0), ASMLP_INVALID_ARGUMENT, "count is 0");
  }
  REFUSED(asmlp_detector_run_file(detector, "/nowhere.png"), ASMLP_NOT_FOUND, "/nowhere.png");
  REFUSED(asmlp_detector_detections(detector, 0, &found, &others), ASMLP_INVALID_ARGUMENT,
          "last run failed");
  CHECK(asmlp_detector_run_encoded(detector, "P5 2 1 255 ab", 13) == ASMLP_OK);
  REFUSED(asmlp_detector_run_encoded(detector, NULL, 13), ASMLP_INVALID_ARGUMENT, "null");
  REFUSED(asmlp_detector_run_file(NULL, image), ASMLP_INVALID_ARGUMENT, "detector is NULL");
  REFUSED(asmlp_detector_run_tensor(detector, NULL, 1, 8, 8), ASMLP_INVALID_ARGUMENT, "nchw");
  asmlp_detector_free(detector);
  options.exif = ASMLP_EXIF_APPLY;
  options.no_masks = 1;
  options.max_detections = 1;
  CHECK(asmlp_detector_create(model, &options, &detector) == ASMLP_OK);
  CHECK(asmlp_engine_create(model, NULL, &engine) == ASMLP_OK);
  asmlp_model_free(model);
  CHECK(asmlp_detector_run_file(detector, image) == ASMLP_OK);
  CHECK(asmlp_detector_detections(detector, 0, &found, &count) == ASMLP_OK && count == 1);
  CHECK(found[0].score == best && found[0].mask_counts == NULL && found[0].num_mask_counts == 0);
  REFUSED(asmlp_detector_mask(detector, 0, 0, bitmap, height, width, 0, 1), ASMLP_UNSUPPORTED,
          "no masks");
  /* Its backbone. */
  CHECK(asmlp_engine_run_file(engine, image) == ASMLP_OK);
  CHECK(asmlp_engine_embedding(engine, &values) == ASMLP_OK && values != NULL);
  REFUSED(asmlp_engine_logits(engine, &values), ASMLP_UNSUPPORTED, "no head");
  asmlp_engine_free(engine);
  asmlp_detector_free(detector);
  asmlp_detector_free(NULL);
}

static void check_segmentor(const char* file, const char* image) {
  static uint8_t pixels[3 * 20 * 30], labels[20 * 40];
  static float zeros[3 * 32 * 48];
  asmlp_model* model = NULL;
  asmlp_model_info info;
  asmlp_segmentor* segmentor = NULL;
  asmlp_segment_options options = {0};
  asmlp_image view = {0};
  const uint8_t* found = NULL;
  const asmlp_class_share* shares = NULL;
  double sum = 0;
  int i, height = 0, width = 0, count = 0;
  CHECK(asmlp_model_load(file, NULL, &model) == ASMLP_OK);
  CHECK(asmlp_model_get_info(model, &info) == ASMLP_OK && info.task == ASMLP_TASK_SEGMENT);
  options.flip = -1;
  REFUSED(asmlp_segmentor_create(model, &options, &segmentor), ASMLP_INVALID_ARGUMENT, "flip is");
  options.flip = 0;
  options.window_stride = 4;
  REFUSED(asmlp_segmentor_create(model, &options, &segmentor), ASMLP_INVALID_ARGUMENT, "window");
  options.window_stride = 0;
  REFUSED(asmlp_segmentor_create(NULL, NULL, &segmentor), ASMLP_INVALID_ARGUMENT, "model is NULL");
  CHECK(asmlp_segmentor_create(model, &options, &segmentor) == ASMLP_OK);
  asmlp_model_free(model);
  REFUSED(asmlp_segmentor_labels(segmentor, 0, &found, &height, &width), ASMLP_INVALID_ARGUMENT,
          "no results");
  CHECK(asmlp_segmentor_run_file(segmentor, image) == ASMLP_OK);
  CHECK(asmlp_segmentor_labels(segmentor, 0, &found, &height, &width) == ASMLP_OK);
  CHECK(found != NULL && height > 0 && width > 0);
  for (i = 0; i < height * width; ++i) CHECK(found[i] < info.num_classes);
  CHECK(asmlp_segmentor_shares(segmentor, 0, &shares, &count) == ASMLP_OK && count > 0);
  for (i = 0; i < count; ++i) {
    CHECK(shares[i].share > 0 && shares[i].name[0] != '\0');
    sum += shares[i].share;
  }
  CHECK(sum > 0.999999 && sum < 1.000001);
  REFUSED(asmlp_segmentor_shares(segmentor, 1, &shares, &count), ASMLP_INVALID_ARGUMENT, "image 1");
  REFUSED(asmlp_segmentor_labels(segmentor, 0, NULL, &height, &width), ASMLP_INVALID_ARGUMENT,
          "labels is NULL");
  CHECK(asmlp_segmentor_run_tensor(segmentor, zeros, 1, 32, 48) == ASMLP_OK);
  CHECK(asmlp_segmentor_labels(segmentor, 0, &found, &height, &width) == ASMLP_OK);
  CHECK(height == 32 && width == 48);
  for (i = 0; i < (int)sizeof(pixels); ++i) pixels[i] = (uint8_t)(i * 7);
  view.pixels = pixels;
  view.height = 20;
  view.width = 30;
  view.channels = 3;
  CHECK(asmlp_segmentor_run_images(segmentor, &view, 1) == ASMLP_OK);
  CHECK(asmlp_segmentor_labels(segmentor, 0, &found, &height, &width) == ASMLP_OK);
  memset(labels, 255, sizeof labels);
  {
    static uint8_t before[20 * 30];
    memcpy(before, found, sizeof before);
    CHECK(asmlp_segmentor_run_into(segmentor, &view, labels, 40) == ASMLP_OK);
    for (i = 0; i < 20; ++i) CHECK(memcmp(labels + 40 * i, before + 30 * i, 30) == 0);
  }
  CHECK(labels[35] == 255);
  REFUSED(asmlp_segmentor_labels(segmentor, 0, &found, &height, &width), ASMLP_INVALID_ARGUMENT,
          "no results");
  REFUSED(asmlp_segmentor_run_into(segmentor, &view, NULL, 0), ASMLP_INVALID_ARGUMENT,
          "labels is NULL");
  REFUSED(asmlp_segmentor_run_into(segmentor, &view, labels, 29), ASMLP_INVALID_ARGUMENT,
          "overlap");
  REFUSED(asmlp_segmentor_run_into(segmentor, NULL, labels, 0), ASMLP_INVALID_ARGUMENT,
          "image is NULL");
  REFUSED(asmlp_segmentor_run_file(segmentor, "/nowhere.png"), ASMLP_NOT_FOUND, "/nowhere.png");
  CHECK(asmlp_segmentor_run_encoded(segmentor, "P5 2 1 255 ab", 13) == ASMLP_OK);
  asmlp_segmentor_free(segmentor);
  asmlp_segmentor_free(NULL);
}

static void check_other_tasks(const char* file) {
  asmlp_model* classifier = NULL;
  asmlp_detector* detector = NULL;
  asmlp_segmentor* segmentor = NULL;
  CHECK(asmlp_model_load(file, NULL, &classifier) == ASMLP_OK);
  REFUSED(asmlp_detector_create(classifier, NULL, &detector), ASMLP_UNSUPPORTED, "a classifier");
  REFUSED(asmlp_segmentor_create(classifier, NULL, &segmentor), ASMLP_UNSUPPORTED, "a classifier");
  CHECK(detector == NULL && segmentor == NULL);
  asmlp_model_free(classifier);
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  check_other_tasks(argv[1]);
  check_detector(argv[2], argv[4]);
  check_segmentor(argv[3], argv[4]);
  if (failures == 0) printf("detectors and segmentors do what asmlp.h says\n");
  return failures != 0;
}
