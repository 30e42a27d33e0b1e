// What the server answers to which request: routing, permission, and the endpoints.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/server/message.h"
#include "asmlp/server/metrics.h"
#include "asmlp/server/options.h"
#include "asmlp/server/results_json.h"
#include "asmlp/server/served_model.h"

namespace asmlp::server {

// A path, taken apart.
struct Route {
  enum class Endpoint {
    kNone,  // nothing is there
    kPage,
    kMetrics,
    kLive,
    kReady,
    kServer,
    kModels,
    kModel,
    kModelReady,
    kInfer,
    kPredict,
    kDetect,
    kSegment,
  };
  Endpoint endpoint = Endpoint::kNone;
  std::string model;  // of /v2/models/MODEL...
};
Route route_of(const std::string& path);
const char* endpoint_name(Route::Endpoint endpoint);

// Thread-safe once all models have been added.
class Service {
 public:
  Service(const ServiceOptions& options, Metrics& metrics);

  // Makes its engines (ServedModel). Error(kInvalidArgument) for a name that is taken, or is not 1
  // to 128 letters, digits, '.', '_', '-'. `file` and `bundled` are for the answers.
  void add(const std::string& name, std::shared_ptr<const Model> model, const std::string& file,
           bool bundled);

  // Why a request is refused before its body is read: no such path, another method, no permission,
  // a server that ends. Nothing otherwise.
  std::optional<HttpReply> refuse(const HttpRequest& request) const;

  // The answer, errors included. Never throws.
  HttpReply answer(const HttpRequest& request) noexcept;

  // From now on the server is not ready, and refuses new inference.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }

 private:
  struct Entry {
    std::unique_ptr<ServedModel> model;
    Json source;  // "name", "file", "bundled": the commands' member "model"
  };

  HttpReply dispatch(const Route& route, const HttpRequest& request, RequestFacts& facts);
  HttpReply run_infer(const Route& route, const HttpRequest& request, RequestFacts& facts);
  HttpReply run_task(Task task, const HttpRequest& request, RequestFacts& facts);
  HttpReply list_models() const;
  HttpReply metrics_text() const;
  Entry& find(const std::string& name);
  Entry& choose(Task task, const HttpRequest& request);

  ServiceOptions options_;
  Metrics& metrics_;
  std::vector<Entry> models_;
  std::atomic<bool> draining_{false};
};

}  // namespace asmlp::server
