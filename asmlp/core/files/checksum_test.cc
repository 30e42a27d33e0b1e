#include "asmlp/core/files/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace asmlp::checksum_test {
namespace {

uint64_t checksum_of(std::string_view text) {
  Checksum sum;
  sum.add(std::as_bytes(std::span(text)));
  return sum.value();
}

// Of xxHash's own program.
TEST(Checksum, IsXxh64) {
  EXPECT_EQ(checksum_of(""), 0xef46db3751d8e999u);
  EXPECT_EQ(checksum_of("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(checksum_of("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(checksum_of("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1u);
}

TEST(Checksum, DoesNotDependOnThePieces) {
  std::mt19937 random(11);
  std::string text(1000, ' ');
  for (char& c : text) c = static_cast<char>(random());
  for (size_t size = 0; size <= 200; ++size) {
    const auto bytes = std::as_bytes(std::span(text).first(size));
    Checksum sum;
    for (size_t at = 0; at < size;) {
      const size_t piece = std::min<size_t>(random() % 70, size - at);
      sum.add(bytes.subspan(at, piece));
      at += piece;
    }
    EXPECT_EQ(sum.value(), checksum_of(std::string_view(text).substr(0, size))) << size;
  }
}

TEST(Checksum, NoticesEveryFlippedBit) {
  std::string text(333, 'x');
  const uint64_t whole = checksum_of(text);
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
    EXPECT_NE(checksum_of(text), whole) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
  }
}

}  // namespace
}  // namespace asmlp::checksum_test
