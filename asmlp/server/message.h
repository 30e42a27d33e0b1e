// A request and its answer, without the connection they come over.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/server/queue/batcher.h"

namespace asmlp::server {

struct HttpRequest {
  std::string method;  // GET (also for HEAD) or POST
  std::string path;    // decoded, without the query
  std::multimap<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // by lower-case name
  std::shared_ptr<const std::string> body;     // null before it has been read

  // "" where there is none.
  std::string header(const std::string& name) const;
};

// What the log and the metrics say of a request besides its head.
struct RequestFacts {
  std::string endpoint = "other";  // "predict", "infer", "health", ...: one of few
  std::string model;
  int images = 0;
  Timing timing;
};

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  RequestFacts facts;
};

// What a log says of a request that has been answered.
struct AccessRecord {
  std::string remote, method, target;
  int status = 0;
  size_t bytes_in = 0, bytes_out = 0;  // of the bodies
  double seconds = 0;
  RequestFacts facts;
};

// The record as one line without its end: JSON, or text for people. `time` is UTC in ISO 8601.
std::string json_line(const AccessRecord& record, const std::string& time);
std::string text_line(const AccessRecord& record, const std::string& time);
// The present time as these want it, with milliseconds.
std::string utc_now();

}  // namespace asmlp::server
