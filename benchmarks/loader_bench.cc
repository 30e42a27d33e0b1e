// Images per second of wall-clock time that a data source gives through its loader: reading,
// decoding the crop, flip, normalize (RandAugment and erasing off, so that reading shows), at 224.
//
//   asmlp_loader_bench DATA [WORKERS [IMAGES]]
//
// DATA is what `asmlp train` reads: an image folder or tar shards.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "asmlp/torch/data/augment/transforms.h"
#include "asmlp/torch/data/data_source.h"

namespace {

using namespace asmlp;

void run(const std::string& path, int workers, int64_t images) {
  using Clock = std::chrono::steady_clock;
  const auto opened = Clock::now();
  const auto source = data::open_data_source(path, Split::kTrain);
  const Preprocessing preprocessing;  // ImageNet's: 224, mean and std
  data::Augmentation augmentation;
  augmentation.rand_augment.reset();
  augmentation.color_jitter = 0;
  augmentation.erase_probability = 0;
  data::Transform transform;
  transform.encoded = true;
  transform.apply = [=](const Sample& sample, data::Random& random, std::span<float> out) {
    data::transform_for_training(sample, preprocessing, augmentation, random, out);
  };
  const auto batches = source->batches(transform, {.batch_size = 32,
                                                   .workers = workers,
                                                   .order = data::Order::kShuffled,
                                                   .remainder = data::Remainder::kDrop});
  data::BatchStream stream = batches->start(0);
  const auto begin = Clock::now();
  int64_t done = 0;
  while (done < images) {
    const auto batch = stream.next();
    if (!batch) break;
    done += batch->images.size(0);
  }
  const std::chrono::duration<double> opening = begin - opened, seconds = Clock::now() - begin;
  fmt::print("{} workers: {:.1f} images/s ({} images, {:.2f} s to open)\n", workers,
             double(done) / seconds.count(), done, opening.count());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fmt::print(stderr, "usage: asmlp_loader_bench DATA [WORKERS [IMAGES]]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? std::atoi(argv[2]) : 2, argc > 3 ? std::atoll(argv[3]) : 2000);
  } catch (const std::exception& error) {
    fmt::print(stderr, "asmlp_loader_bench: {}\n", error.what());
    return 1;
  }
}
