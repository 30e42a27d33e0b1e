#include "asmlp/server/protocol/multipart.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/core/error.h"
#include "asmlp/server/protocol/base64.h"

namespace asmlp::server {
namespace multipart_test {

constexpr const char* kType = "multipart/form-data; boundary=AaB03x";

TEST(Multipart, GivesPartsWithTheirNames) {
  const std::string body =
      "preamble\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none"
      "\r\n--AaB03x  \r\ncontent-disposition: form-data; filename=\"x \\\"y\\\".png\"; name=b\r\n"
      "Content-Type: image/png\r\n\r\n\x89PNG\r\n--AaB03\r\n"
      "\r\n--AaB03x\r\n\r\n"
      "\r\n--AaB03x--\r\nepilogue";
  const std::vector<Part> parts = parse_multipart(body, kType);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "a");
  EXPECT_EQ(parts[0].filename, "");
  EXPECT_EQ(parts[0].content, "one");
  EXPECT_EQ(parts[1].name, "b");
  EXPECT_EQ(parts[1].filename, "x \"y\".png");
  EXPECT_EQ(parts[1].content, "\x89PNG\r\n--AaB03\r\n");
  EXPECT_EQ(parts[2].name, "");
  EXPECT_EQ(parts[2].content, "");
}

TEST(Multipart, EveryTruncationIsAnError) {
  const std::string body =
      "--AaB03x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--AaB03x--";
  EXPECT_EQ(parse_multipart(body, kType).size(), 1u);
  for (size_t length = 0; length < body.size(); ++length) {
    EXPECT_THROW(parse_multipart(body.substr(0, length), kType), Error) << length;
  }
}

TEST(Multipart, HasLimits) {
  std::string body;
  for (size_t k = 0; k <= kMaxParts; ++k) body += "\r\n--AaB03x\r\n\r\nx";
  EXPECT_THROW(parse_multipart(body + "\r\n--AaB03x--", kType), Error);
  EXPECT_THROW(
      parse_multipart("--AaB03x\r\na: " + std::string(kMaxPartHead, 'x') + "\r\n\r\n\r\n--AaB03x--",
                      kType),
      Error);
  EXPECT_THROW(parse_multipart("----", "multipart/form-data"), Error);
  EXPECT_THROW(parse_multipart("----", "multipart/form-data; boundary="), Error);
  EXPECT_THROW(parse_multipart("--", "multipart/form-data; boundary=" + std::string(71, 'x')),
               Error);
  EXPECT_TRUE(is_multipart("Multipart/Form-Data; boundary=x"));
  EXPECT_FALSE(is_multipart("image/jpeg"));
}

TEST(Base64, RoundTripsAndRefusesOtherText) {
  std::mt19937 random(7);
  for (size_t length = 0; length < 70; ++length) {
    std::string bytes(length, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
  }
  EXPECT_EQ(encode_base64("foob"), "Zm9vYg==");  // RFC 4648
  EXPECT_EQ(encode_base64("fooba"), "Zm9vYmE=");
  for (const char* bad : {"Z", "Zg=", "====", "Zm9v!A==", "Zg==Zg==", "Zm 9"}) {
    EXPECT_FALSE(decode_base64(bad)) << bad;
  }
}

}  // namespace multipart_test
}  // namespace asmlp::server
