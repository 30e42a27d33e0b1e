// Images per second of processor time of the training transform, on one thread: decode, random
// resized crop, flip, RandAugment, normalize, erase, with the defaults of `asmlp train` (the
// authors' recipe).
//
//   asmlp_data_bench FOLDER [IMAGES [ROUNDS [exact|fast|cached [SIZE]]]]
//
// reads every image file of FOLDER into memory, then prints one line "images/s" per round. `fast`
// is --decode fast; `cached` begins with decoded images, as --cache does; SIZE is the network's
// (224). benchmarks/data_peer.py runs it in turn with timm's transform.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/torch/data/augment/transforms.h"

namespace {

using namespace asmlp;

std::vector<Sample> read_samples(const std::filesystem::path& folder) {
  std::vector<Sample> samples;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!has_image_extension(entry.path())) continue;
    Sample sample;
    sample.name = entry.path().filename().string();
    sample.encoded = read_file(entry.path());
    samples.push_back(std::move(sample));
  }
  require(!samples.empty(), ErrorCode::kNotFound, "{}: no image files", folder.string());
  std::ranges::sort(samples, {}, &Sample::name);
  return samples;
}

void run(const std::filesystem::path& folder, int images, int rounds, const std::string& mode,
         int size) {
  std::vector<Sample> samples = read_samples(folder);
  if (mode == "cached") {
    for (Sample& sample : samples) sample = decoded(std::move(sample));
  }
  Preprocessing preprocessing;  // ImageNet's mean and std
  preprocessing.size = size;
  data::Augmentation augmentation;  // the authors'
  if (mode == "fast") augmentation.decode = data::CropDecoding::kFast;
  std::vector<float> out(size_t{3} * preprocessing.size * preprocessing.size);
  for (int round = 0; round < rounds; ++round) {
    const std::clock_t begin = std::clock();
    for (int i = 0; i < images; ++i) {
      data::Random random(data::derive_seed(42, {uint64_t(round), uint64_t(i)}));
      data::transform_for_training(samples[size_t(i) % samples.size()], preprocessing, augmentation,
                                   random, out);
    }
    fmt::print("{:.2f}\n", images / (double(std::clock() - begin) / CLOCKS_PER_SEC));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 4 ? argv[4] : "exact";
  if (argc < 2 || argc > 6 || (mode != "exact" && mode != "fast" && mode != "cached")) {
    fmt::print(stderr,
               "usage: asmlp_data_bench FOLDER [IMAGES [ROUNDS [exact|fast|cached [SIZE]]]]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? std::atoi(argv[2]) : 500, argc > 3 ? std::atoi(argv[3]) : 1, mode,
        argc > 5 ? std::atoi(argv[5]) : 224);
  } catch (const std::exception& error) {
    fmt::print(stderr, "asmlp_data_bench: {}\n", error.what());
    return 1;
  }
}
