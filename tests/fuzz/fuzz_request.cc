// Any bytes as what the server reads of a request: a head, a body of inference, a body of
// multipart/form-data (whose first line is the header that it depends on), base64. Parts that fit
// together, or a refusal that says why.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "asmlp/core/error.h"
#include "asmlp/server/protocol/base64.h"
#include "asmlp/server/protocol/head.h"
#include "asmlp/server/protocol/infer.h"
#include "asmlp/server/protocol/multipart.h"

namespace {

using namespace asmlp;
using namespace asmlp::server;

void expect(bool condition) {
  if (!condition) std::abort();
}

void check(const Head& head) {
  if (head.status != 0) {
    expect(head.status >= 400 && head.status <= 505 && !head.error.empty());
    return;
  }
  expect(head.method == "GET" || head.method == "HEAD" || head.method == "POST");
  expect(head.chunked || head.length.has_value() || head.method != "POST");
  // What is passed on means the same and is the same for every parser.
  const std::string plain = head.plain_text();
  const Head again = check_head(plain, {});
  expect(again.status == 0 && again.method == head.method && again.target == head.target);
  expect(again.chunked == head.chunked && again.length == head.length);
  expect(again.plain_text() == plain);
}

void check(const InferRequest& request) {
  expect(!request.inputs.empty() && request.inputs.size() <= kMaxInferTensors);
  for (const InputTensor& input : request.inputs) {
    uint64_t count = 1;
    for (const int64_t side : input.shape) count *= static_cast<uint64_t>(side);
    expect(count == (input.datatype == "FP32" ? input.floats.size() : input.bytes.size()));
  }
}

template <typename Body>
void may_fail(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    expect(error.what()[0] != '\0');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(check_head(text, {}));
  may_fail([&] { check(parse_infer(text, "")); });
  const size_t line = text.find('\n');
  if (line != std::string_view::npos) {
    const std::string header(text.substr(0, line));
    const std::string_view body = text.substr(line + 1);
    may_fail([&] { check(parse_infer(body, header)); });
    may_fail([&] {
      size_t total = 0;
      for (const Part& part : parse_multipart(body, header)) {
        total += part.content.size();
        expect(part.content.empty() ||
               (part.content.data() >= body.data() &&
                part.content.data() + part.content.size() <= body.data() + body.size()));
      }
      expect(total <= body.size());
    });
  }
  if (const auto bytes = decode_base64(text)) {
    expect(decode_base64(encode_base64(*bytes)) == bytes);
  }
  return 0;
}
