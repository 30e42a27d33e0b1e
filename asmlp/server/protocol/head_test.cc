#include "asmlp/server/protocol/head.h"

#include <gtest/gtest.h>

namespace asmlp::server {
namespace head_test {

Head head_of(const std::string& lines, HeadLimits limits = {}) {
  return check_head(lines + "\r\n\r\n", limits);
}

TEST(Head, ReadsWhatARequestSays) {
  const Head head = head_of(
      "POST /v1/predict?topk=3 HTTP/1.1\r\nHost: x\r\nContent-Length:  12 \r\n"
      "AUTHORIZATION: Bearer %41\r\nExpect: 100-Continue");
  EXPECT_EQ(head.status, 0) << head.error;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/predict?topk=3");
  EXPECT_EQ(head.header("authorization"), "Bearer %41");  // not decoded
  EXPECT_EQ(head.header("cookie"), "");
  EXPECT_EQ(head.length, 12u);
  EXPECT_EQ(head.plain_text(),
            "POST /v1/predict?topk=3 HTTP/1.1\r\nContent-Length: 12\r\nExpect: "
            "100-continue\r\n\r\n");
}

TEST(Head, PassesOnNothingElse) {
  const Head head = head_of(
      "GET / HTTP/1.0\r\nRange: bytes=0-1,5-6\r\nAccept-Encoding: br\r\nREMOTE_ADDR: 1.2.3.4");
  EXPECT_EQ(head.status, 0);
  EXPECT_EQ(head.plain_text(), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(head.header(":version"), "1.0");
}

TEST(Head, RefusesWhatIsUnclearOrTooLarge) {
  const std::string post = "POST /v2 HTTP/1.1\r\n";
  struct Case {
    std::string text;
    int status;
  };
  const std::string many(101, 'x');
  std::string headers = "GET / HTTP/1.1";
  for (int k = 0; k < 101; ++k) headers += "\r\nx: 1";
  for (const auto& [text, status] :
       std::initializer_list<Case>{{"", 400},
                                   {"GET /", 400},
                                   {"GET / HTTP/2.0", 505},
                                   {"DELETE / HTTP/1.1", 405},
                                   {"GET x HTTP/1.1", 400},
                                   {"GET /\x01 HTTP/1.1", 400},
                                   {"GET /a b HTTP/1.1", 400},
                                   {"GET / HTTP/1.1\r\nno header", 400},
                                   {"GET / HTTP/1.1\r\n folded: line", 400},
                                   {"GET / HTTP/1.1\r\na: \x02", 400},
                                   {"GET / HTTP/1.1\r\na: b\nc: d", 400},
                                   {std::string("GET / HTTP/1.1\r\na: b\0c", 23), 400},
                                   {"GET / HTTP/1.1\r\nContent-Length: 5", 400},
                                   {"GET /" + std::string(2048, 'x') + " HTTP/1.1", 414},
                                   {headers, 431},
                                   {post + "Host: x", 411},
                                   {post + "Content-Length: -1", 400},
                                   {post + "Content-Length: 1x", 400},
                                   {post + "Content-Length: ", 400},
                                   {post + "Content-Length: 99999999999999999999999", 413},
                                   {post + "Content-Length: 33554433", 413},
                                   {post + "Content-Length: 1\r\nContent-Length: 2", 400},
                                   {post + "Content-Length: 1\r\nTransfer-Encoding: chunked", 400},
                                   {post + "Transfer-Encoding: gzip, chunked", 400},
                                   {post + "Content-Length: 1\r\nContent-Encoding: gzip", 415}}) {
    const Head head = head_of(text);
    EXPECT_EQ(head.status, status) << text << ": " << head.error;
    EXPECT_FALSE(head.error.empty());
  }
  EXPECT_EQ(head_of("GET / HTTP/1.1\r\na: " + std::string(20'000, 'x')).status, 431);
  EXPECT_EQ(head_of(post + "Content-Length: 1\r\ncontent-length: 1").status, 0);
  EXPECT_TRUE(head_of(post + "transfer-encoding: Chunked").chunked);
}

}  // namespace head_test
}  // namespace asmlp::server
