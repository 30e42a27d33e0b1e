// What a ProductObserver is shown.
#include "asmlp/engine/observer.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "asmlp/engine/engine.h"
#include "asmlp/engine/packed_weights.h"
#include "asmlp/weights/fill.h"
#include "tests/support/support.h"

namespace asmlp::observer_test {
namespace {

// The sum of bits of every column of every product's input, and how many rows there were.
class ColumnSums : public ProductObserver {
 public:
  struct Column {
    int64_t rows = 0;
    uint64_t bits = 0;
    bool operator==(const Column&) const = default;
  };
  void observe(const PackedMatrix& weight, const float* a, int64_t lda, int64_t rows, int64_t first,
               int64_t columns) noexcept override {
    const std::scoped_lock lock(mutex_);
    auto& sums = of_[&weight];
    sums.resize(static_cast<size_t>(weight.depth()));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        Column& column = sums[static_cast<size_t>(first + c)];
        ++column.rows;
        column.bits += std::bit_cast<uint32_t>(a[r * lda + c]);
      }
    }
  }
  const std::map<const PackedMatrix*, std::vector<Column>>& of() const { return of_; }

 private:
  std::mutex mutex_;
  std::map<const PackedMatrix*, std::vector<Column>> of_;
};

std::shared_ptr<const PackedModel> model_of(Connection connection, Precision precision) {
  ModelSpec spec;
  spec.config.embed_dim = 20;
  spec.config.depths = {2, 1};
  spec.config.num_classes = 7;
  spec.config.connection = connection;
  spec.preprocessing = default_preprocessing(spec.config, 40);
  return PackedModel::create(spec, fill_parameters(spec.config), {.precision = precision});
}

TEST(Observer, SeesEveryElementOfEveryInputOnceForAnyNumberOfThreads) {
  for (const Connection connection : {Connection::kParallel, Connection::kSerial}) {
    const auto model = model_of(connection, Precision::kFp32);
    const int batch = 2;
    const std::vector<float> input = to_f32(fill_tensor("input", {batch, 3, 40, 40}));
    std::map<const PackedMatrix*, std::vector<ColumnSums::Column>> first;
    for (const int threads : {1, 2, 5, 16}) {  // with 16, threads share the columns of weights
      Engine engine(model, {.max_batch = batch, .threads = threads});
      ColumnSums sums;
      engine.observe(&sums);
      engine.run(input, batch);
      engine.observe(nullptr);
      engine.run(input, batch);
      // The patch embedding, two stages' products, a merging, the head.
      ASSERT_EQ(sums.of().size(), 1u + 3u * 6 + 1 + 1);
      const PackedWeights& weights = model->weights();
      const auto rows_of = [&](const PackedMatrix& weight) {
        const auto& columns = sums.of().at(&weight);
        for (const auto& column : columns) EXPECT_EQ(column.rows, columns[0].rows);
        return columns[0].rows;
      };
      EXPECT_EQ(rows_of(weights.patch_embed), batch * 100);
      for (const PackedBlock& block : weights.stages[0].blocks) {
        for (const PackedMatrix* weight :
             {&block.conv1, &block.conv2_1, &block.conv2_2, &block.conv3, &block.fc1, &block.fc2}) {
          EXPECT_EQ(rows_of(*weight), batch * 100);
        }
      }
      EXPECT_EQ(rows_of(weights.stages[0].reduction), batch * 25);
      EXPECT_EQ(rows_of(weights.head), batch);
      if (first.empty()) first = sums.of();
      EXPECT_EQ(sums.of(), first) << threads;
    }
  }
}

TEST(Observer, IsForFp32Only) {
  ColumnSums sums;
  Engine engine(model_of(Connection::kParallel, Precision::kBf16));
  const std::string message =
      test::error_of(ErrorCode::kUnsupported, [&] { engine.observe(&sums); });
  EXPECT_NE(message.find("bf16"), std::string::npos) << message;
}

}  // namespace
}  // namespace asmlp::observer_test
