// How a server is run.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "asmlp/asmlp.hpp"
#include "asmlp/server/queue/batcher.h"

namespace asmlp::server {

// Of everything that is done with models.
struct ServiceOptions {
  BatchLimits batching;
  int threads = 0;                            // of each worker; 0: every core it may use
  Exif exif = Exif::kApply;                   // of pictures
  int64_t max_pixels = 50'000'000;            // of a picture
  std::chrono::milliseconds timeout{30'000};  // of a request, reading and computing each
  std::string api_key;                        // "": none is asked for
};

// Of connections.
struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;  // 0: the system picks one
  uint64_t max_body = uint64_t{32} << 20;
  size_t max_head = size_t{16} << 10;
  int max_connections = 128;
  std::chrono::milliseconds timeout{30'000};     // of reading a request, and of writing its answer
  std::chrono::milliseconds keep_alive{15'000};  // that a connection may be idle
};

}  // namespace asmlp::server
