// The secret by which the processes of a run know one another.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asmlp::dist {

// The environment variable that holds it.
inline constexpr const char* kTokenVariable = "ASMLP_TOKEN";
// Characters that it must have at least: 16 random bytes as hexadecimal digits have twice as many.
inline constexpr size_t kShortestToken = 16;

// 32 random bytes of the system as 64 hexadecimal digits. Error(kIo) when it has none.
std::string make_token();
// The variable's value (null when it is not set) as a token, "" for none. Error(kInvalidArgument)
// when it is too short.
std::string checked_token(const char* value);

using Nonce = std::array<uint8_t, 32>;
using Proof = std::array<uint8_t, 32>;
// Random bytes that are used once. Error(kIo) when the system has none.
Nonce make_nonce();
// HMAC-SHA256 (RFC 2104) with the token as its key: what only those who know the token can compute.
Proof proof_of(std::string_view token, std::string_view message);
// Takes the same time whether they are equal or not.
bool same_proof(const Proof& a, const Proof& b);

}  // namespace asmlp::dist
