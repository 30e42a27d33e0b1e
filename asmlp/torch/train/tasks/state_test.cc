// The file of a state: what damages it is noticed.
#include "asmlp/torch/train/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::train::state_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf, testing::HasSubstr, testing::Not;

RunState small_state() {
  RunState state;
  state.model = "{}";
  state.command = "asmlp train";
  state.epoch = 3;
  state.images = 40;
  EpochSummary epoch;
  epoch.train_loss = 1.5;
  epoch.lr = 0.1;
  state.history.push_back(epoch);
  return state;
}

TensorMap small_tensors() {
  return {{"model.a", make_tensor({3, 5}, std::vector<float>(15, 0.25f))},
          {"optimizer.m.a", make_tensor({3, 5}, std::vector<float>(15, 0.5f))}};
}

void flip(std::string& bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(State, NoticesFlippedBits) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "last.safetensors";
  write_state(path, small_state(), small_tensors());
  EXPECT_TRUE(read_state(path, nullptr).checked);
  std::string bytes = read_file(path);
  const std::string numbers = numbers_to_json(small_state());
  // All of the length and of the tensors, and every seventh bit of the long header between.
  for (size_t bit = 0; bit < 8 * bytes.size();) {
    flip(bytes, bit);
    write_bytes(path, bytes);
    try {
      read_state(path, nullptr);
      ADD_FAILURE() << "bit " << bit << " of " << 8 * bytes.size() << " was not noticed";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadFormat) << error.what();
    }
    flip(bytes, bit);
    const bool header = bit >= 64 && bit + 8 * 200 < 8 * bytes.size();
    bit += header ? 7 : 1;
  }
  write_bytes(path, bytes);
  EXPECT_EQ(numbers_to_json(read_state(path, nullptr)), numbers);
}

TEST(State, ADamagedOneNamesTheOneBefore) {
  const test::TemporaryFolder folder;
  const fs::path last = folder.path() / "last.safetensors";
  const fs::path previous = folder.path() / "previous.safetensors";
  write_state(last, small_state(), small_tensors());
  std::string bytes = read_file(last);
  flip(bytes, 8 * (bytes.size() - 5));
  const auto message = [&] {
    return test::error_of(ErrorCode::kBadFormat, [&] { read_state(last, nullptr); });
  };
  fs::copy(last, previous);
  write_bytes(last, bytes);
  EXPECT_THAT(message(),
              AllOf(HasSubstr(last.string()), HasSubstr("damaged"),
                    HasSubstr("whole (epoch 4): asmlp train --resume " + previous.string())));
  write_bytes(previous, bytes);
  EXPECT_THAT(message(), HasSubstr(previous.string() + " is damaged, too"));
  fs::remove(previous);
  EXPECT_THAT(message(), Not(HasSubstr("previous")));
}

TEST(State, OneOfAnEarlierVersionHasNoChecksum) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "last.safetensors";
  write_state(path, small_state(), small_tensors());
  const TensorFile file = read_safetensors(path);
  auto metadata = file.metadata;
  auto json = nlohmann::ordered_json::parse(metadata.at("asmlp_train"));
  json.erase("checked");
  metadata["asmlp_train"] = json.dump();
  const fs::path old = folder.path() / "old.safetensors";
  write_safetensors(old, file.tensors, metadata);
  const RunState state = read_state(old, nullptr);
  EXPECT_FALSE(state.checked);
  EXPECT_EQ(state.epoch, 3);
  // Of this version, it must have one.
  write_safetensors(old, file.tensors, file.metadata);
  EXPECT_THAT(test::error_of(ErrorCode::kBadFormat, [&] { read_state(old, nullptr); }),
              HasSubstr("lost its checksum"));
}

}  // namespace
}  // namespace asmlp::train::state_test
