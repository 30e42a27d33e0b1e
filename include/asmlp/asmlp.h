/* asmlp: AS-MLP models on a CPU. The C API of libasmlp.so (C99), for other languages too.
 *
 *   asmlp_model* model = NULL;
 *   asmlp_engine* engine = NULL;
 *   if (asmlp_model_load("model.safetensors", NULL, &model) != ASMLP_OK ||
 *       asmlp_engine_create(model, NULL, &engine) != ASMLP_OK)
 *     fprintf(stderr, "%s\n", asmlp_last_error());
 *
 * Every function that can fail returns a status and leaves a message in asmlp_last_error(); it
 * never throws, prints or exits. A NULL where an object is needed is ASMLP_INVALID_ARGUMENT. A
 * returned object belongs to the caller, who frees it; a returned pointer to text or numbers
 * belongs to the object it came from.
 *
 * asmlp_engine classifies and gives feature maps, asmlp_detector finds objects, asmlp_segmentor
 * labels pixels. What is said of engines below holds for all three.
 *
 * Threads: a model is immutable and may be shared. An engine serves one caller at a time: make one
 * per thread. A call while another thread runs the engine is ASMLP_BUSY and changes nothing; only
 * freeing an engine that another thread uses is the caller's fault. An engine keeps its model
 * alive, so they may be freed in any order. Threads that the system refuses (ulimit -u) are no
 * error: an engine works with those that it gets, to the same bits.
 *
 * fork(): in a child, an inherited model works. An inherited engine does not, because its threads
 * stayed in the parent: its calls are ASMLP_UNSUPPORTED, and it can be freed. Make another one in
 * the child, from the same model.
 *
 * Memory: ASMLP_OUT_OF_MEMORY, with a message that says how much, when the system refuses it. The
 * engine can be used further, for smaller inputs say.
 *
 * docs/guide/api.md has an example; C++ programs use <asmlp/asmlp.hpp>. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "asmlp/export.h"

#ifdef __cplusplus
extern "C" {
#define ASMLP_INT : int /* an enum may hold any int, as it comes from other languages */
#else
#define ASMLP_INT
#endif

typedef enum asmlp_status ASMLP_INT {
  ASMLP_OK = 0,
  ASMLP_INVALID_ARGUMENT = 1, /* a value outside its documented range */
  ASMLP_NOT_FOUND = 2,        /* no such file */
  ASMLP_IO = 3,               /* the operating system refused to read */
  ASMLP_BAD_FORMAT = 4,       /* a file breaks the rules of its format */
  ASMLP_UNSUPPORTED = 5,      /* valid, but outside what this build or machine can do */
  ASMLP_MISMATCH = 6,         /* two things that must agree do not */
  ASMLP_TOO_LARGE = 7,        /* over a documented limit */
  ASMLP_INTERRUPTED = 8,      /* the user asked to stop */
  ASMLP_OUT_OF_MEMORY = 9,
  ASMLP_INTERNAL = 10, /* a fault of the library; please report the message */
  ASMLP_BUSY = 11      /* another thread is in a call of the same engine */
} asmlp_status;

/* The version of the library that runs: "0.2.0", and 10000 * major + 100 * minor + patch. */
ASMLP_API const char* asmlp_version(void);
ASMLP_API int asmlp_version_number(void);

/* What went wrong in the last call of this thread that failed ("" before one has); valid until the
 * next that fails. */
ASMLP_API const char* asmlp_last_error(void);

/* The status as a lower-case word, e.g. "not_found"; "unknown" for another number. */
ASMLP_API const char* asmlp_status_name(asmlp_status status);

/* ---- Models ---- */

typedef struct asmlp_model asmlp_model;

/* What a model is for. */
typedef enum asmlp_task ASMLP_INT {
  ASMLP_TASK_CLASSIFY = 0,
  ASMLP_TASK_DETECT = 1,
  ASMLP_TASK_SEGMENT = 2
} asmlp_task;

/* What products compute with; sums and statistics are fp32 in each. */
typedef enum asmlp_precision ASMLP_INT {
  ASMLP_PRECISION_FP32 = 0,
  ASMLP_PRECISION_BF16 = 1,
  ASMLP_PRECISION_BF16X3 = 2, /* each number as two bf16 parts on tile units; else as fp32 */
  ASMLP_PRECISION_INT8 = 3    /* 8-bit integers, in the layers that a quantized file has so */
} asmlp_precision;

/* Instruction sets in order of preference, the last the best. */
typedef enum asmlp_isa ASMLP_INT {
  ASMLP_ISA_AUTO = 0,        /* $ASMLP_ISA, or the best that this machine can run */
  ASMLP_ISA_REFERENCE = 1,   /* portable, on every machine */
  ASMLP_ISA_NEON = 2,        /* ARM: Advanced SIMD */
  ASMLP_ISA_NEON_DOT = 3,    /* and the int8 dot product */
  ASMLP_ISA_NEON_MATRIX = 4, /* and the bf16 and int8 matrix products */
  ASMLP_ISA_AVX2 = 5,        /* x86: AVX2 and FMA */
  ASMLP_ISA_AVX2_VNNI = 6,   /* and the int8 dot product (AVX-VNNI) */
  ASMLP_ISA_AVX512 = 7,      /* AVX-512 F, BW, DQ and VL */
  ASMLP_ISA_AVX512_VNNI = 8, /* and the int8 dot product */
  ASMLP_ISA_AVX512_BF16 = 9, /* and the bf16 dot product */
  ASMLP_ISA_AVX512_AMX = 10  /* and the bf16 and int8 tile products of AMX */
} asmlp_isa;

/* The value as a word: "classify", "bf16", "avx512_bf16"; "unknown" for another number. */
ASMLP_API const char* asmlp_task_name(asmlp_task task);
ASMLP_API const char* asmlp_precision_name(asmlp_precision precision);
ASMLP_API const char* asmlp_isa_name(asmlp_isa isa);

/* All zero is the default. */
typedef struct asmlp_load_options {
  asmlp_precision precision; /* 0 is fp32, of a quantized file int8 */
  asmlp_isa isa;
  int shift_h;        /* shift positions per axis for files that do not say it; 0: 5, or the */
  int shift_w;        /* other axis's */
  const char* config; /* description of the model as JSON, instead of the file's own; or NULL */
} asmlp_load_options;

/* Loads a .safetensors or PyTorch .pth file. options may be NULL. *model is NULL after an error;
 * ASMLP_UNSUPPORTED for a baseline, which the message names. */
ASMLP_API asmlp_status asmlp_model_load(const char* file, const asmlp_load_options* options,
                                        asmlp_model** model);
ASMLP_API void asmlp_model_free(asmlp_model* model); /* NULL is allowed */

typedef struct asmlp_model_info {
  asmlp_task task;           /* what the weights are for: which of the three runs them */
  int is_classifier;         /* 1: it has a head; 0: a backbone, for embeddings and feature maps */
  asmlp_precision precision; /* what it computes with */
  asmlp_isa isa;             /* never ASMLP_ISA_AUTO */
  int num_notes;             /* of asmlp_model_note */
  int in_channels;           /* 3 for RGB */
  int num_classes;           /* 0 for a model without head */
  int image_size;            /* side of the square input that an asmlp_engine crops images to */
  int embedding_size;        /* channels of the backbone's last map */
  int num_features;          /* feature maps: the patch embedding and one per stage */
  int64_t parameters;
  int64_t multiply_adds; /* of one image of image_size; of a detector's or segmentor's input */
  int short_side;        /* sides that a detector's or segmentor's images are resized to; 0 of */
  int long_side;         /* other models */
} asmlp_model_info;

ASMLP_API asmlp_status asmlp_model_get_info(const asmlp_model* model, asmlp_model_info* info);
/* Its name; its whole description as JSON; the label of class 0..num_classes-1. */
ASMLP_API asmlp_status asmlp_model_name(const asmlp_model* model, const char** name);
ASMLP_API asmlp_status asmlp_model_description(const asmlp_model* model, const char** json);
ASMLP_API asmlp_status asmlp_model_class(const asmlp_model* model, int index, const char** label);
/* Sentence 0..num_notes-1 about what had to be assumed, because the file does not say it. */
ASMLP_API asmlp_status asmlp_model_note(const asmlp_model* model, int index, const char** note);
/* Channels, height and width of feature map 0..num_features-1 for an input of height x width. */
ASMLP_API asmlp_status asmlp_model_feature_shape(const asmlp_model* model, int feature, int height,
                                                 int width, int64_t shape[3]);

/* ---- Engines ---- */

typedef struct asmlp_engine asmlp_engine;

/* EXIF orientation of image files: the picture is turned upright, or taken as it is stored. */
typedef enum asmlp_exif ASMLP_INT { ASMLP_EXIF_APPLY = 0, ASMLP_EXIF_IGNORE = 1 } asmlp_exif;

/* All zero is the default. */
typedef struct asmlp_run_options {
  int threads;        /* 1..256, or fewer if the system refuses; 0: every core it may use */
  int image_size;     /* side that images are resized and cropped to; 0: the model's own */
  int max_batch;      /* images computed at once, 1..4096; 0: 8 */
  int features;       /* 1: also keep the feature maps; 0: do not */
  asmlp_exif exif;    /* of image files */
  int64_t max_pixels; /* larger image files are refused; 0: 89,478,485 */
} asmlp_run_options;

ASMLP_API asmlp_status asmlp_engine_create(const asmlp_model* model,
                                           const asmlp_run_options* options, asmlp_engine** engine);
ASMLP_API void asmlp_engine_free(asmlp_engine* engine); /* NULL is allowed */

/* How the three bytes of a pixel in color follow one another. OpenCV's frames are ASMLP_BGR. */
typedef enum asmlp_channel_order ASMLP_INT { ASMLP_RGB = 0, ASMLP_BGR = 1 } asmlp_channel_order;

/* 8-bit pixels: height rows of width x channels bytes. */
typedef struct asmlp_image {
  const uint8_t* pixels;
  int height;
  int width;
  int channels;              /* 3 or 1 (gray) */
  ptrdiff_t row_bytes;       /* from one row to the next; 0: width * channels */
  asmlp_channel_order order; /* of 3 channels */
} asmlp_image;

/* Runs the model on images (preprocessed as the model's description says, with Pillow's bits), on
 * an image file (JPEG, PNG, WebP, BMP, PPM, TIFF) on disk or in memory, or on batch x in_channels x
 * height x width normalized floats. Any number of images; the results below are then those of this
 * run, until the next. */
ASMLP_API asmlp_status asmlp_engine_run_images(asmlp_engine* engine, const asmlp_image* images,
                                               int count);
ASMLP_API asmlp_status asmlp_engine_run_file(asmlp_engine* engine, const char* file);
ASMLP_API asmlp_status asmlp_engine_run_encoded(asmlp_engine* engine, const void* bytes,
                                                size_t size);
ASMLP_API asmlp_status asmlp_engine_run_tensor(asmlp_engine* engine, const float* nchw, int batch,
                                               int height, int width);

typedef struct asmlp_prediction {
  int index;         /* of the class, or -1: there are fewer classes than asked for */
  float probability; /* softmax over all classes */
  const char* label; /* valid as long as the engine or the model; "" with index -1 */
} asmlp_prediction;

/* Writes the k most probable classes of image 0..batch-1 of the last run, best first. */
ASMLP_API asmlp_status asmlp_engine_top_k(const asmlp_engine* engine, int image, int k,
                                          asmlp_prediction* predictions);

/* Results of the last run: *values points to batch x num_classes (the head's outputs before
 * softmax), batch x embedding_size, or, with options.features, to the shape[4] = {batch, channels,
 * height, width} of a feature map. */
ASMLP_API asmlp_status asmlp_engine_logits(const asmlp_engine* engine, const float** values);
ASMLP_API asmlp_status asmlp_engine_embedding(const asmlp_engine* engine, const float** values);
ASMLP_API asmlp_status asmlp_engine_feature(const asmlp_engine* engine, int feature,
                                            const float** values, int64_t shape[4]);

/* ---- Detectors ---- */

typedef struct asmlp_detector asmlp_detector;

/* All zero is the default. */
typedef struct asmlp_detect_options {
  int threads;    /* 1..256, or fewer if the system refuses; 0: every core it may use */
  int max_batch;  /* images of one size computed at once, 1..4096; 0: 1 */
  int short_side; /* sides that images are resized to, 1..16384; 0: the model's own */
  int long_side;
  float score_threshold; /* objects are found above it, below 1; 0: the model's own */
  int max_detections;    /* the best of each image, up to 2^20; 0: the model's own */
  int no_masks;          /* 1: compute none, which is faster; 0: as the model does */
  int tile;           /* pixels a side of tiles that large images are cut into, 32..16384; 0: no */
  int tile_overlap;   /* pixels that neighbors share, up to half a tile; 0: a quarter of it */
  int tile_whole;     /* 1: also the whole image, for objects that fill several tiles */
  asmlp_exif exif;    /* of image files */
  int64_t max_pixels; /* larger image files are refused; 0: 89,478,485 */
} asmlp_detect_options;

/* ASMLP_UNSUPPORTED for a model whose task is not ASMLP_TASK_DETECT. */
ASMLP_API asmlp_status asmlp_detector_create(const asmlp_model* model,
                                             const asmlp_detect_options* options,
                                             asmlp_detector** detector);
ASMLP_API void asmlp_detector_free(asmlp_detector* detector); /* NULL is allowed */

/* As asmlp_engine_run_*. Images keep their ratio and may have different sizes; a tensor is
 * normalized and padded by the caller, coordinates are then its pixels. */
ASMLP_API asmlp_status asmlp_detector_run_images(asmlp_detector* detector,
                                                 const asmlp_image* images, int count);
ASMLP_API asmlp_status asmlp_detector_run_file(asmlp_detector* detector, const char* file);
ASMLP_API asmlp_status asmlp_detector_run_encoded(asmlp_detector* detector, const void* bytes,
                                                  size_t size);
ASMLP_API asmlp_status asmlp_detector_run_tensor(asmlp_detector* detector, const float* nchw,
                                                 int batch, int height, int width);

/* An object, in pixels of the image. The mask's run lengths are COCO's: column by column from top
 * to bottom, in turn outside and inside of the object, beginning with outside. */
typedef struct asmlp_detection {
  float x1, y1, x2, y2;
  float score;                 /* probability of its class */
  int label;                   /* its class, 0..num_classes-1 */
  const char* name;            /* of the class; valid as long as the detector or the model */
  int mask_height, mask_width; /* those of the image; 0 without a mask */
  const uint32_t* mask_counts; /* valid until the next run; NULL without a mask */
  size_t num_mask_counts;
} asmlp_detection;

/* The objects of image 0..count-1 of the last run, by falling score: *detections points to *count
 * of them, until the next run. */
ASMLP_API asmlp_status asmlp_detector_detections(const asmlp_detector* detector, int image,
                                                 const asmlp_detection** detections, int* count);
/* Writes the mask of detection `index` of an image to the caller's height x width bytes, `inside`
 * or 0, whose rows are row_bytes apart (0: width). height and width must be the image's
 * (ASMLP_MISMATCH); ASMLP_UNSUPPORTED without masks. */
ASMLP_API asmlp_status asmlp_detector_mask(const asmlp_detector* detector, int image, int index,
                                           uint8_t* pixels, int height, int width,
                                           ptrdiff_t row_bytes, uint8_t inside);

/* ---- Segmentors ---- */

typedef struct asmlp_segmentor asmlp_segmentor;

/* All zero is the default. */
typedef struct asmlp_segment_options {
  int threads;    /* 1..256, or fewer if the system refuses; 0: every core it may use */
  int short_side; /* sides that images are resized to, 1..16384; 0: the model's own */
  int long_side;
  int multi_scale;    /* 1: the mean of six sizes, 0.5 to 1.75 times these sides */
  int flip;           /* 1: and of mirrored images */
  int window;         /* pixels a side of a window that slides over the image, 1..16384; 0: none */
  int window_stride;  /* from one window to the next, 1..window; 0: two thirds of it */
  int full_size;      /* 1: images keep their own size */
  asmlp_exif exif;    /* of image files */
  int64_t max_pixels; /* larger image files are refused; 0: 89,478,485 */
} asmlp_segment_options;

/* ASMLP_UNSUPPORTED for a model whose task is not ASMLP_TASK_SEGMENT. */
ASMLP_API asmlp_status asmlp_segmentor_create(const asmlp_model* model,
                                              const asmlp_segment_options* options,
                                              asmlp_segmentor** segmentor);
ASMLP_API void asmlp_segmentor_free(asmlp_segmentor* segmentor); /* NULL is allowed */

ASMLP_API asmlp_status asmlp_segmentor_run_images(asmlp_segmentor* segmentor,
                                                  const asmlp_image* images, int count);
ASMLP_API asmlp_status asmlp_segmentor_run_file(asmlp_segmentor* segmentor, const char* file);
ASMLP_API asmlp_status asmlp_segmentor_run_encoded(asmlp_segmentor* segmentor, const void* bytes,
                                                   size_t size);
ASMLP_API asmlp_status asmlp_segmentor_run_tensor(asmlp_segmentor* segmentor, const float* nchw,
                                                  int batch, int height, int width);
/* One image, whose labels go straight to the caller's memory: height x width bytes of the image,
 * rows row_bytes apart (0: width). There are no results of this run besides. */
ASMLP_API asmlp_status asmlp_segmentor_run_into(asmlp_segmentor* segmentor,
                                                const asmlp_image* image, uint8_t* labels,
                                                ptrdiff_t row_bytes);

/* Results of the last run, until the next: *labels points to height x width classes
 * 0..num_classes-1, row by row, in the size of image 0..count-1. */
ASMLP_API asmlp_status asmlp_segmentor_labels(const asmlp_segmentor* segmentor, int image,
                                              const uint8_t** labels, int* height, int* width);

typedef struct asmlp_class_share {
  int label;        /* 0..num_classes-1 */
  double share;     /* of the pixels, above 0, at most 1 */
  const char* name; /* of the class; valid as long as the segmentor or the model */
} asmlp_class_share;

/* The classes that occur on an image, the largest share first: *shares points to *count of them. */
ASMLP_API asmlp_status asmlp_segmentor_shares(const asmlp_segmentor* segmentor, int image,
                                              const asmlp_class_share** shares, int* count);

#ifdef __cplusplus
}
#endif
