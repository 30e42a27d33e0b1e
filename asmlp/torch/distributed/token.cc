#include "asmlp/torch/distributed/token.h"

#include <nettle/hmac.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "asmlp/core/error.h"

namespace asmlp::dist {

Nonce make_nonce() {
  Nonce nonce;
  size_t done = 0;
  while (done < nonce.size()) {
    const ssize_t got = ::getrandom(nonce.data() + done, nonce.size() - done, 0);
    if (got < 0 && errno == EINTR) continue;
    require(got > 0, ErrorCode::kIo, "the system gives no random bytes: {}", std::strerror(errno));
    done += static_cast<size_t>(got);
  }
  return nonce;
}

std::string make_token() {
  std::string token;
  for (const uint8_t byte : make_nonce()) token += fmt::format("{:02x}", byte);
  return token;
}

std::string checked_token(const char* value) {
  const std::string token = value ? value : "";
  require(token.empty() || token.size() >= kShortestToken, ErrorCode::kInvalidArgument,
          "the environment variable {} has {} characters, it needs at least {}: make one with "
          "`openssl rand -hex 32`",
          kTokenVariable, token.size(), kShortestToken);
  return token;
}

Proof proof_of(std::string_view token, std::string_view message) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const uint8_t*>(text.data());
  };
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, token.size(), bytes(token));
  hmac_sha256_update(&context, message.size(), bytes(message));
  Proof proof;
  hmac_sha256_digest(&context, proof.size(), proof.data());
  return proof;
}

bool same_proof(const Proof& a, const Proof& b) {
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= unsigned{a[i]} ^ b[i];
  return difference == 0;
}

}  // namespace asmlp::dist
