#include "asmlp/image/input_batch.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/out_of_memory.h"
#include "asmlp/image/preprocess.h"

namespace asmlp {

InputBatch::InputBatch(const Preprocessing& preprocessing, int threads)
    : preprocessing_(preprocessing), threads_(threads) {
  const size_t side = static_cast<size_t>(preprocessing.size);
  image_size_ = preprocessing.mean.size() * side * side;
}

const Image& InputBatch::image(int slot) const { return images_[static_cast<size_t>(slot)]; }

std::span<const float> InputBatch::input() const {
  return std::span(input_).first(image_size_ * items_.size());
}

void InputBatch::load(int count, const std::function<Image(int item)>& fetch) {
  require(count >= 0, ErrorCode::kInvalidArgument, "a batch of {} images", count);
  const auto images = static_cast<size_t>(count);
  if (input_.size() < image_size_ * images) {
    const std::string what = fmt::format("the input of {} images", count);
    with_memory_for(what, static_cast<double>(image_size_ * images) * sizeof(float),
                    [&] { input_.resize(image_size_ * images); });
  }
  if (images_.size() < images) images_.resize(images);
  const auto slot_input = [&](size_t slot) {
    return std::span(input_).subspan(slot * image_size_, image_size_);
  };
  items_.clear();  // of the last load, if this one fails
  failures_.clear();
  std::vector<std::optional<Failure>> failed(images);
  const auto prepare = [&](int item, int) {
    const size_t slot = static_cast<size_t>(item);
    try {
      images_[slot] = resize_and_crop(fetch(item), preprocessing_,
                                      static_cast<int>(preprocessing_.mean.size()));
      normalize(images_[slot], preprocessing_, slot_input(slot));
    } catch (const Error& error) {
      failed[slot] = Failure{item, error.code(), error.what(), std::current_exception()};
    } catch (const std::exception& error) {
      const ExceptionText told = explain_exception(error);
      failed[slot] = Failure{item, told.out_of_memory ? ErrorCode::kTooLarge : ErrorCode::kIo,
                             told.message, std::current_exception()};
    }
  };
  if (count == 1) {
    prepare(0, 0);  // one image is not worth starting threads
  } else if (count > 1) {
    if (!pool_) pool_.emplace(threads_);
    pool_->run(count, prepare);
  }
  for (int item = 0; item < count; ++item) {
    const size_t from = static_cast<size_t>(item);
    if (failed[from]) {
      failures_.push_back(*std::move(failed[from]));
      continue;
    }
    const size_t to = items_.size();
    if (to != from) {
      std::ranges::copy(slot_input(from), slot_input(to).begin());
      std::swap(images_[from], images_[to]);
    }
    items_.push_back(item);
  }
}

}  // namespace asmlp
