// asmlp: AS-MLP models on a CPU. The C++ API of libasmlp.so; it needs C++17 and nothing else.
//
//   asmlp::Classifier classifier("model.safetensors");
//   for (const auto& p : classifier.classify("photo.jpg")) use(p.label, p.probability);
//
// Detector and Segmentor are in <asmlp/dense.hpp>, which this header includes.
//
// docs/guide/api.md explains it by the programs of examples/. <asmlp/asmlp.h> is the C API, of the
// same library and with the same words.
//
// Threads. A Model is immutable: share it between any number of threads. A Classifier, Backbone,
// Detector or Segmentor has threads and memory of its own and serves one caller at a time: make one
// per thread, from the same model. A call while another thread is in one is an Error(kBusy) and
// changes nothing; only moving or destroying an object that another thread uses is the caller's
// fault. Results have the same bits for any number of threads and any batch, on one instruction
// set; threads that the system refuses (ulimit -u) are no error, the others do the work.
//
// fork(). In a child, an inherited Model works. An inherited Classifier, Backbone, Detector or
// Segmentor does not, because its threads stayed in the parent: its calls are an
// Error(kUnsupported), and it can be destroyed. Make another one in the child, from the same model.
//
// Errors. Everything that fails throws asmlp::Error, with a code and a message that says what to
// do, or std::bad_alloc when the system refuses memory; its what() says how much it was and what
// for, where that is known. An object whose call has thrown can be used further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/enums.hpp"
#include "asmlp/error.hpp"
#include "asmlp/export.h"

namespace asmlp {

// The version of the library that runs, e.g. "0.2.0".
ASMLP_API const char* version() noexcept;

// ---- Models ----

// A feature map that a Backbone gives.
struct FeatureInfo {
  std::string name;  // "patch_embed", then "layers.0", "layers.1", ...
  int channels;
  int stride;  // pixels of the input per pixel of the map, on both axes; sizes are rounded up
};

// Of one feature map of one image.
struct FeatureShape {
  int channels;
  int height;
  int width;
};

struct ModelInfo {
  std::string name;    // e.g. "asmlp_tiny_patch4_shift5_224"
  Task task;           // what the weights are for: kDetect of a Detector, kSegment of a Segmentor
  bool is_classifier;  // Classifier takes it: it has a head. Backbone takes every model.
  int in_channels;     // 3 for RGB
  int num_classes;     // 0 for a model without head
  int image_size;      // side of the square input that Classifier and Backbone crop images to
  int embedding_size;  // channels of the backbone's last map
  std::vector<FeatureInfo> features;
  std::vector<std::string> classes;  // num_classes labels, "class 17" where nothing names them
  std::int64_t parameters;
  // Of one image of image_size; of a detector's or segmentor's input, the heads included.
  std::int64_t multiply_adds;
  Precision precision;  // what it computes with
  Isa isa;              // never kAuto
  // JSON: task, config, preprocessing, classes, origin (docs/guide/formats.md).
  std::string description;
  // Sides that a detector's or segmentor's images are resized to; 0 of other models.
  int short_side;
  int long_side;
};

// The weights as the library keeps them.
class PackedModel;
class PackedDetector;
class PackedSegmentor;

// A network with its weights, packed for one instruction set and precision. load_model makes it.
class ASMLP_API Model {
 public:
  // For the library itself, which alone knows these. Error(kInvalidArgument) for null. `backbone`
  // makes what packed() returns.
  using MakeBackbone = std::function<std::shared_ptr<const PackedModel>()>;
  explicit Model(std::shared_ptr<const PackedModel> packed);
  Model(std::shared_ptr<const PackedDetector> packed, MakeBackbone backbone);
  Model(std::shared_ptr<const PackedSegmentor> packed, MakeBackbone backbone);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Everything that is known of it; it lives as long as the model.
  const ModelInfo& info() const noexcept { return info_; }
  const std::string& name() const noexcept { return info_.name; }

  // The shape of feature map 0..info().features.size() - 1 for an input of height x width pixels.
  // Error(kInvalidArgument) for another map or a side outside 1..16384.
  FeatureShape feature_shape(int feature, int height, int width) const;

  // For the library itself, too. Of a detector or segmentor, packed() is its backbone, packed when
  // it is first asked for; the other two are null unless it is one.
  std::shared_ptr<const PackedModel> packed() const;
  const std::shared_ptr<const PackedDetector>& detector() const noexcept { return detector_; }
  const std::shared_ptr<const PackedSegmentor>& segmentor() const noexcept { return segmentor_; }

 private:
  mutable std::shared_ptr<const PackedModel> packed_;  // read and set atomically
  std::shared_ptr<const PackedDetector> detector_;
  std::shared_ptr<const PackedSegmentor> segmentor_;
  MakeBackbone make_backbone_;
  ModelInfo info_;
};

struct LoadOptions {
  // What products compute with; sums and statistics are fp32 in each. A quantized file (`asmlp
  // quantize`) computes in int8 with kFp32, the default, and with kInt8.
  Precision precision = Precision::kFp32;
  Isa isa = Isa::kAuto;
  // Shift positions per axis, 1..255, for files that do not say it (the authors' .pth do, in most
  // cases; weights do not show it). 0: what the file says, else 5. One of them alone sets both.
  int shift_h = 0;
  int shift_w = 0;
  // The whole description of the model as JSON text (docs/guide/formats.md), instead of the file's
  // own:
  // {"model": "asmlp_tiny_patch4_shift5_224", "num_classes": 7, "padding": "reflect"}. "": the
  // file's.
  std::string config;
};

struct LoadResult {
  std::shared_ptr<const Model> model;  // never null
  // One sentence for everything that had to be assumed, because the file does not say it.
  std::vector<std::string> notes;
};

// Loads a .safetensors or PyTorch .pth file (told apart by content; no Python, nothing in the file
// is executed). The authors' checkpoints of detectors and segmentors, which do not describe
// themselves, are known by their tensors; one that is none of the published gives its backbone, and
// a note. Errors: kNotFound, kIo, kBadFormat, kMismatch (weights that are no such model),
// kInvalidArgument (options), kUnsupported (an instruction set that this machine cannot run; a
// baseline, which the message names).
ASMLP_API LoadResult load_model(const std::filesystem::path& file, const LoadOptions& options = {});

// ---- Inputs ----

// How the three bytes of a pixel in color follow one another.
enum class ChannelOrder { kRgb, kBgr };

// 8-bit pixels that somebody else keeps: height rows of width x channels bytes, in color or gray.
struct ImageView {
  const std::uint8_t* pixels;
  int height;
  int width;
  int channels = 3;                         // 3 or 1 (gray); converted to what the model takes
  std::ptrdiff_t row_bytes = 0;             // from one row to the next; 0: width * channels
  ChannelOrder order = ChannelOrder::kRgb;  // of 3 channels; OpenCV's frames are kBgr
};

// 8-bit RGB pixels, height x width x 3.
struct DecodedImage {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;
  ImageView view() const { return {pixels.data(), height, width}; }
};

struct ReadOptions {
  Exif exif = Exif::kApply;     // EXIF orientation: turn the picture upright, or take it as stored
  std::int64_t max_pixels = 0;  // larger pictures are refused (kTooLarge); 0: 89,478,485
};

// Decodes a JPEG, PNG, WebP, BMP, PPM (PGM, PBM) or TIFF to the pixels that Pillow's
// Image.open(...).convert("RGB") gives, upright as after ImageOps.exif_transpose; or to those of
// OpenCV's imread, which a Detector and a Segmentor see when they are given files. Errors:
// kNotFound, kIo, kBadFormat, kTooLarge, kUnsupported (other formats).
ASMLP_API DecodedImage read_image(const std::filesystem::path& file,
                                  const ReadOptions& options = {},
                                  PixelStyle style = PixelStyle::kPillow);
// The same from the bytes of such a file in memory.
ASMLP_API DecodedImage read_image(const void* bytes, std::size_t size,
                                  const ReadOptions& options = {},
                                  PixelStyle style = PixelStyle::kPillow);

// Floats that somebody else keeps: batch x channels x height x width, row-major, normalized as the
// model was trained. Any size of 1..16384 pixels a side.
struct TensorView {
  const float* data;
  int batch;
  int channels;
  int height;
  int width;
};

// Floats that somebody else keeps, for results: `size` of them at `data`. Another size than that of
// the results is an Error(kMismatch) that says both, a null pointer where there are results an
// Error(kInvalidArgument); nothing has run then.
struct OutputView {
  float* data = nullptr;
  std::size_t size = 0;
};

struct RunOptions {
  int threads = 0;           // 1..256, or fewer if the system refuses; 0: every core it may use
  int image_size = 0;        // side that images are resized and cropped to; 0: the model's own
  int max_batch = 8;         // images computed at once, 1..4096; memory grows with it, results stay
  ReadOptions reading = {};  // of image files: classify(file), features(file)
};

// ---- Classification ----

struct Prediction {
  int index;          // of the class, 0..num_classes-1
  float probability;  // softmax over all classes
  std::string label;
};

class BatchRunner;

// What is on these images? Images are resized, cropped and normalized as the model's description
// says, with Pillow's bits. Results come in the order of the inputs; a list may be of any length.
class ASMLP_API Classifier {
 public:
  // Error(kUnsupported) for a model without head, kInvalidArgument for options out of range.
  explicit Classifier(std::shared_ptr<const Model> model, const RunOptions& options = {});
  // The same of load_model(file).model, for who needs no notes. Errors: load_model's, too.
  explicit Classifier(const std::filesystem::path& file, const RunOptions& options = {});
  ~Classifier();
  // An object that was moved from can only be assigned to or destroyed.
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;

  const Model& model() const;

  // The most probable classes, best first: top_k of them, or all if there are fewer.
  std::vector<Prediction> classify(const std::filesystem::path& file, int top_k = 5);
  std::vector<Prediction> classify(const ImageView& image, int top_k = 5);
  std::vector<std::vector<Prediction>> classify(const std::vector<ImageView>& images,
                                                int top_k = 5);
  std::vector<std::vector<Prediction>> classify(const TensorView& tensor, int top_k = 5);

  // The head's outputs before softmax: images x num_classes.
  std::vector<float> logits(const std::vector<ImageView>& images);
  std::vector<float> logits(const TensorView& tensor);
  // The same into the caller's memory. Tensors of the size that was run last, in batches that are
  // not larger, are run without any allocation.
  void logits(const std::vector<ImageView>& images, OutputView out);
  void logits(const TensorView& tensor, OutputView out);

 private:
  std::unique_ptr<BatchRunner> runner_;
};

// ---- Features ----

struct FeatureMap {
  std::string name;  // as in FeatureInfo
  int stride;
  int channels;
  int height;
  int width;
  std::vector<float> values;  // batch x channels x height x width
};

struct Features {
  int batch;
  // As ModelInfo::features: map 0 is the patch embedding after its norm, map k the output of
  // layers[k-1], its patch merging included.
  std::vector<FeatureMap> maps;
  // batch x embedding_size: the last map normalized and averaged.
  std::vector<float> embedding;
};

// Feature maps for detection, segmentation or search, at any image size. Models without a head are
// welcome.
class ASMLP_API Backbone {
 public:
  // Error(kInvalidArgument) for options out of range.
  explicit Backbone(std::shared_ptr<const Model> model, const RunOptions& options = {});
  // The same of load_model(file).model, for who needs no notes. Errors: load_model's, too.
  explicit Backbone(const std::filesystem::path& file, const RunOptions& options = {});
  ~Backbone();
  Backbone(Backbone&&) noexcept;
  Backbone& operator=(Backbone&&) noexcept;

  const Model& model() const;

  // Images are resized and cropped to RunOptions::image_size; a tensor is taken as it is.
  Features features(const std::filesystem::path& file);
  Features features(const std::vector<ImageView>& images);
  Features features(const TensorView& tensor);
  // The same into the caller's memory: maps[k] receives map k (batch x the shape that
  // Model::feature_shape says), `embedding` the embedding. A default OutputView leaves its part
  // out; so does a shorter list. A longer one is an Error(kMismatch). Allocations: as
  // Classifier::logits.
  void features(const std::vector<ImageView>& images, const std::vector<OutputView>& maps,
                OutputView embedding = {});
  void features(const TensorView& tensor, const std::vector<OutputView>& maps,
                OutputView embedding = {});

 private:
  std::unique_ptr<BatchRunner> runner_;
};

}  // namespace asmlp

#include "asmlp/dense.hpp"
