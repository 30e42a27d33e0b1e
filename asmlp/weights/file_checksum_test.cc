// The checksum of a safetensors file.
#include <fstream>

#include "asmlp/weights/safetensors.h"
#include "asmlp/weights/weight_file.h"
#include "tests/support/weight_files.h"

namespace asmlp::file_checksum_test {
namespace {

TEST(FileChecksum, NoticesEveryFlippedBit) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const TensorMap tensors{{"a", make_tensor({5}, {1, 2, 3, 4, 5})},
                          {"b", make_tensor({2}, {6, 7})}};
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"zzz", "last"}};
  write_safetensors(path, tensors, metadata, FileChecksum::kAdd);
  std::string bytes = read_file(path);
  test::expect_same_tensors(read_safetensors(path).tensors, tensors);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    try {
      TensorFile file = parse_safetensors(test::as_bytes(bytes), nullptr, "x");
      // Only what makes the checksum unknown may pass, with all that the file means.
      EXPECT_FALSE(file.metadata.contains(kChecksumKey) &&
                   file.metadata[kChecksumKey].starts_with("xxh64:"))
          << bit;
      test::expect_same_tensors(file.tensors, tensors);
      EXPECT_EQ(file.metadata["format"], "pt");
      EXPECT_EQ(file.metadata["zzz"], "last");
    } catch (const Error&) {
    }
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
  }
}

TEST(FileChecksum, IsCheckedByWhoeverReadsTheFileAndNotTakenAlong) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.safetensors";
  const TensorMap tensors{{"a", make_tensor({2}, {1, 2})}};
  write_safetensors(path, tensors, {}, FileChecksum::kAdd);
  const TensorFile file = read_safetensors(path);
  EXPECT_TRUE(file.metadata.contains(kChecksumKey));
  const auto copy = folder.path() / "copy.safetensors";
  write_safetensors(copy, {{"a", make_tensor({2}, {1, 3})}}, file.metadata);
  EXPECT_FALSE(read_safetensors(copy).metadata.contains(kChecksumKey));
  std::string bytes = read_file(path);
  bytes.back() ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  test::expect_words(test::error_of(ErrorCode::kBadFormat, [&] { read_weights(path); }),
                     {"a.safetensors", "checksum", "damaged"});
}

}  // namespace
}  // namespace asmlp::file_checksum_test
