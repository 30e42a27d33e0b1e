#include "asmlp/torch/distributed/token_store.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "asmlp/core/error.h"
#include "asmlp/torch/distributed/rendezvous.h"
#include "tests/support/support.h"

namespace asmlp::dist::token_store_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kHost = "127.0.0.1";

ServerOptions server_options(const std::string& token) {
  ServerOptions options;
  options.port = free_port();
  options.token = token;
  return options;
}

std::vector<uint8_t> to_bytes(const std::string& text) { return {text.begin(), text.end()}; }

// A connection of a stranger.
class Stranger {
 public:
  explicit Stranger(int port, const std::string& says = "")
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    if (!says.empty()) ::send(fd_, says.data(), says.size(), MSG_NOSIGNAL);
  }
  ~Stranger() { ::close(fd_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  // Whether the server has hung up within ten seconds (what it says before that is skipped).
  bool was_hung_up() const {
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char buffer[256];
    ssize_t size;
    while ((size = ::recv(fd_, buffer, sizeof buffer, 0)) > 0) {
    }
    return size == 0 || errno == ECONNRESET;
  }

 private:
  int fd_;
};

TEST(Token, IsHmacSha256) {  // RFC 4231, test case 2
  std::string hex;
  for (const uint8_t byte : proof_of("Jefe", "what do ya want for nothing?")) {
    hex += fmt::format("{:02x}", byte);
  }
  EXPECT_EQ(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(make_token().size(), 64u);
  EXPECT_NE(make_token(), make_token());
  EXPECT_EQ(checked_token(nullptr), "");
  EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument, [] { checked_token("short"); }),
              HasSubstr("ASMLP_TOKEN"));
}

TEST(TokenStore, KeepsWhatC10dKeepsInAStore) {
  for (const std::string& token : {std::string(), make_token()}) {
    const ServerOptions options = server_options(token);
    const auto server = std::make_shared<StoreServer>(options);
    TokenStore far(kHost, options.port, token, 20s), near(server, 20s);
    far.set("a", to_bytes("one"));
    EXPECT_EQ(near.get("a"), to_bytes("one"));
    EXPECT_EQ(near.add("n", 3), 3);
    EXPECT_EQ(far.add("n", 4), 7);
    EXPECT_EQ(far.add("beat", int64_t{1} << 50), int64_t{1} << 50);
    EXPECT_TRUE(far.check({"a", "n"}));
    EXPECT_FALSE(far.check({"a", "none"}));
    EXPECT_EQ(far.getNumKeys(), 3);
    EXPECT_EQ(far.compareSet("a", to_bytes("two"), to_bytes("three")), to_bytes("one"));
    EXPECT_EQ(far.compareSet("a", to_bytes("one"), to_bytes("three")), to_bytes("three"));
    EXPECT_EQ(near.get("a"), to_bytes("three"));
    EXPECT_TRUE(far.deleteKey("a"));
    EXPECT_FALSE(far.deleteKey("a"));
    std::string large(1 << 20, 'x');
    far.set("large", to_bytes(large));
    EXPECT_EQ(far.get("large"), to_bytes(large));
    // A key that comes later, and one that does not come.
    std::thread later([&] {
      std::this_thread::sleep_for(200ms);
      near.set("late", to_bytes("now"));
    });
    EXPECT_EQ(far.clone()->get("late"), to_bytes("now"));
    later.join();
    EXPECT_THAT(test::error_of(ErrorCode::kIo, [&] { far.wait({"never"}, 100ms); }),
                HasSubstr("never"));
  }
}

TEST(TokenStore, StrangersNeitherEndNorStallIt) {
  ServerOptions options = server_options(make_token());
  options.proof_limit = 1s;
  options.most_unproven = 8;
  auto server = std::make_shared<StoreServer>(options);
  TokenStore early(kHost, options.port, options.token, 20s);
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (const char* says : {"abc", "", "GET / HTTP/1.1\r\n\r\n"}) {
    strangers.push_back(std::make_unique<Stranger>(options.port, says));
  }
  strangers.push_back(std::make_unique<Stranger>(options.port, std::string(100'000, '\xff')));
  for (int k = 0; k < 40; ++k) strangers.push_back(std::make_unique<Stranger>(options.port));
  early.set("key", to_bytes("value"));
  TokenStore late(kHost, options.port, options.token, 20s);
  EXPECT_EQ(late.get("key"), to_bytes("value"));
  for (const auto& stranger : strangers) EXPECT_TRUE(stranger->was_hung_up());
  EXPECT_EQ(late.add("n", 1), 1);
  EXPECT_EQ(early.add("n", 1), 2);
}

TEST(TokenStore, WhoDoesNotKnowTheTokenIsRefused) {
  const ServerOptions options = server_options(make_token());
  const StoreServer server(options);
  for (const std::string& other : {std::string(), make_token()}) {
    EXPECT_THAT(
        test::error_of(ErrorCode::kMismatch, [&] { TokenStore(kHost, options.port, other, 20s); }),
        HasSubstr("ASMLP_TOKEN"));
  }
}

// A run on several machines is not one of everybody.
TEST(TokenStore, AServerForTheNetworkNeedsAToken) {
  ServerOptions options = server_options("");
  options.reach = Reach::kNetwork;
  options.address = kHost;
  EXPECT_THAT(test::error_of(ErrorCode::kInvalidArgument, [&] { StoreServer server(options); }),
              HasSubstr("token"));
}

TEST(TokenStore, KnowsTheUserAtTheOtherEnd) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&own), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&own), &size);
  const Stranger stranger(ntohs(own.sin_port));
  const int accepted = ::accept(listener, nullptr, nullptr);
  EXPECT_EQ(user_of_peer(accepted), int64_t{::geteuid()});
  ::close(accepted);
  ::close(listener);
}

TEST(TokenStore, ALostServerIsAnError) {
  const ServerOptions options = server_options(make_token());
  auto server = std::make_shared<StoreServer>(options);
  TokenStore store(kHost, options.port, options.token, 20s);
  server.reset();
  EXPECT_THAT(test::error_of(ErrorCode::kIo, [&] { store.add("n", 1); }), HasSubstr(kBrokenStore));
  EXPECT_THAT(test::error_of(ErrorCode::kIo,
                             [&] { TokenStore(kHost, options.port, options.token, 300ms); }),
              HasSubstr("refused"));
}

TEST(OneMachine, IsWhatTheStarterSaysOrALoopbackAddress) {
  Rendezvous r;
  r.size = 4;
  for (const char* address : {"127.0.0.1", "localhost", "::1", "127.1.2.3"}) {
    r.address = address;
    EXPECT_TRUE(on_one_machine(r)) << address;
  }
  r.address = "host-a";
  EXPECT_FALSE(on_one_machine(r));
  r.local_size = 4;
  EXPECT_TRUE(on_one_machine(r));
  r.local_size = 2;
  EXPECT_FALSE(on_one_machine(r));
}

}  // namespace
}  // namespace asmlp::dist::token_store_test
