// What careless programs do with engines: two threads in one, fork(), numbers of no enum.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "tests/support/model_files.h"
#include "tests/support/support.h"

namespace asmlp::one_caller_test {
namespace {

using test::data;

class OneCaller : public testing::Test {
 protected:
  std::shared_ptr<const Model> filled() {
    const auto file = folder_.path() / "m.safetensors";
    write_filled_model(file);
    return load_model(file).model;
  }

 private:
  test::TemporaryFolder folder_;
};

RunOptions options(int threads, int max_batch) {
  RunOptions options;
  options.threads = threads;
  options.max_batch = max_batch;
  return options;
}

// The error code of a call, or -1.
template <typename Call>
int code_of(const Call& call) {
  try {
    call();
    return -1;
  } catch (const Error& error) {
    return static_cast<int>(error.code());
  }
}

TEST_F(OneCaller, OneObjectServesOneThread) {
  const auto model = filled();
  Classifier classifier(model, options(2, 2));
  Backbone backbone(model, options(1, 2));
  const std::vector<float> input(3 * 32 * 32, 0.5f);
  const TensorView tensor{input.data(), 1, 3, 32, 32};
  const std::vector<float> right = classifier.logits(tensor);
  const std::vector<float> embedding = backbone.features(tensor).embedding;
  std::atomic<int> done{0}, busy{0}, wrong{0};
  const auto work = [&] {
    while ((busy == 0 || done < 100) && wrong == 0 && done < 1'000'000) {
      bool same = true;
      const int codes[] = {
          code_of([&] { same = same && classifier.logits(tensor) == right; }),
          code_of([&] { same = same && backbone.features(tensor).embedding == embedding; })};
      for (int code : codes) {
        if (code == -1) ++done;
        if (code == static_cast<int>(ErrorCode::kBusy)) ++busy;
        if (code != -1 && code != static_cast<int>(ErrorCode::kBusy)) ++wrong;
      }
      if (!same) ++wrong;
    }
  };
  std::thread threads[] = {std::thread(work), std::thread(work), std::thread(work)};
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(busy, 0);
  EXPECT_EQ(classifier.logits(tensor), right);
}

TEST_F(OneCaller, AChildOfAForkMakesItsOwn) {
  const auto model = filled();
  const std::vector<float> input(3 * 32 * 32, 0.5f);
  const TensorView tensor{input.data(), 1, 3, 32, 32};
  for (int threads : {1, 3}) {
    auto classifier = std::make_unique<Classifier>(model, options(threads, 2));
    const std::vector<float> right = classifier->logits(tensor);
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(30);
      if (code_of([&] { classifier->logits(tensor); }) !=
          static_cast<int>(ErrorCode::kUnsupported)) {
        ::_exit(1);
      }
#if !defined(__SANITIZE_THREAD__)  // which allows no threads here
      Classifier own(model, options(threads, 2));
      if (own.logits(tensor) != right) ::_exit(2);
      *classifier = std::move(own);  // destroys the inherited one
      if (classifier->logits(tensor) != right) ::_exit(3);
#endif
      classifier.reset();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << threads << ": " << status;
    EXPECT_EQ(classifier->logits(tensor), right);
  }
}

TEST_F(OneCaller, ValuesOfNoEnumAreRefused) {
  constexpr int kInvalid = static_cast<int>(ErrorCode::kInvalidArgument);
  LoadOptions loading;
  loading.precision = static_cast<Precision>(7);
  EXPECT_EQ(code_of([&] { load_model("any", loading); }), kInvalid);
  loading = {};
  loading.isa = static_cast<Isa>(-3);
  EXPECT_EQ(code_of([&] { load_model("any", loading); }), kInvalid);
  ReadOptions reading;
  reading.exif = static_cast<Exif>(2);
  EXPECT_EQ(code_of([&] { read_image(data("photos/chelsea.png"), reading); }), kInvalid);
  EXPECT_STREQ(to_string(static_cast<Isa>(99)), "unknown");
  EXPECT_STREQ(to_string(static_cast<Precision>(-1)), "unknown");
  EXPECT_STREQ(to_string(static_cast<ErrorCode>(99)), "unknown");
}

}  // namespace
}  // namespace asmlp::one_caller_test
