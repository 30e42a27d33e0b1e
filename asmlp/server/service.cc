#include "asmlp/server/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/server/errors.h"
#include "asmlp/server/infer_model.h"
#include "asmlp/server/page.h"
#include "asmlp/server/task_request.h"

namespace asmlp::server {
namespace {

using Endpoint = Route::Endpoint;

bool is_inference(Endpoint endpoint) { return endpoint >= Endpoint::kInfer; }

// Without looking at where they differ first, so that the time tells nothing about the key.
bool same_secret(std::string_view given, std::string_view key) {
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  }
  return difference == 0;
}

HttpReply json_reply(const Json& json, int status = 200) {
  HttpReply reply;
  reply.status = status;
  reply.body = to_text(json);
  return reply;
}

}  // namespace

Route route_of(const std::string& path) {
  constexpr std::pair<const char*, Endpoint> kPaths[]{{"/", Endpoint::kPage},
                                                      {"/metrics", Endpoint::kMetrics},
                                                      {"/v2", Endpoint::kServer},
                                                      {"/v2/health/live", Endpoint::kLive},
                                                      {"/v2/health/ready", Endpoint::kReady},
                                                      {"/v1/models", Endpoint::kModels},
                                                      {"/v1/predict", Endpoint::kPredict},
                                                      {"/v1/detect", Endpoint::kDetect},
                                                      {"/v1/segment", Endpoint::kSegment}};
  for (const auto& [known, endpoint] : kPaths) {
    if (path == known) return {endpoint, ""};
  }
  constexpr std::string_view kModels = "/v2/models/";
  if (!path.starts_with(kModels)) return {};
  std::string_view rest = std::string_view(path).substr(kModels.size());
  Route route{Endpoint::kModel, std::string(rest.substr(0, rest.find('/')))};
  rest.remove_prefix(route.model.size());
  constexpr std::string_view kVersions = "/versions/";
  if (rest.starts_with(kVersions)) {
    rest.remove_prefix(kVersions.size());
    const std::string_view version = rest.substr(0, rest.find('/'));
    if (version != kModelVersion) return {};
    rest.remove_prefix(version.size());
  }
  if (route.model.empty()) return {};
  if (rest == "/ready") route.endpoint = Endpoint::kModelReady;
  if (rest == "/infer") route.endpoint = Endpoint::kInfer;
  if (!rest.empty() && route.endpoint == Endpoint::kModel) return {};
  return route;
}

const char* endpoint_name(Endpoint endpoint) {
  constexpr const char* kNames[]{"other",   "page",   "metrics", "health", "health",
                                 "about",   "models", "about",   "health", "infer",
                                 "predict", "detect", "segment"};
  return kNames[static_cast<size_t>(endpoint)];
}

Service::Service(const ServiceOptions& options, Metrics& metrics)
    : options_(options), metrics_(metrics) {}

void Service::add(const std::string& name, std::shared_ptr<const Model> model,
                  const std::string& file, bool bundled) {
  const bool valid = !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  require(valid, ErrorCode::kInvalidArgument,
          "the model name '{}' is not 1 to 128 letters, digits, '.', '_', '-'; give another one: "
          "--model NAME=FILE",
          name);
  for (const Entry& entry : models_) {
    require(entry.model->name() != name, ErrorCode::kInvalidArgument,
            "two models are called {}; give one another name: --model NAME=FILE", name);
  }
  Json source{{"name", model->name()}, {"file", file}};
  if (model->info().task == Task::kClassify) source["img_size"] = model->info().image_size;
  if (model->info().task == Task::kSegment) source["classes"] = model->info().num_classes;
  source["bundled"] = bundled;
  models_.push_back(
      {std::make_unique<ServedModel>(name, std::move(model), options_, metrics_), source});
}

std::optional<HttpReply> Service::refuse(const HttpRequest& request) const {
  const Route route = route_of(request.path);
  const auto refused = [&](int status, const std::string& code, const std::string& message) {
    HttpReply reply = error_reply(request.path, status, code, message);
    reply.facts.endpoint = endpoint_name(route.endpoint);
    return reply;
  };
  if (route.endpoint == Endpoint::kNone) {
    return refused(404, "not_found", fmt::format("nothing is at {}", request.path));
  }
  const bool open = route.endpoint == Endpoint::kLive || route.endpoint == Endpoint::kReady ||
                    route.endpoint == Endpoint::kPage;
  if (!options_.api_key.empty() && !open) {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string given = request.header("authorization");
    if (!given.starts_with(kScheme) ||
        !same_secret(std::string_view(given).substr(kScheme.size()), options_.api_key)) {
      HttpReply reply =
          refused(401, "unauthorized", "the header Authorization: Bearer KEY is missing or wrong");
      reply.headers.emplace_back("WWW-Authenticate", "Bearer");
      return reply;
    }
  }
  const std::string wanted = is_inference(route.endpoint) ? "POST" : "GET";
  if (request.method != wanted) {
    HttpReply reply =
        refused(405, "method_not_allowed", fmt::format("{} takes {}", request.path, wanted));
    reply.headers.emplace_back("Allow", wanted == "GET" ? "GET, HEAD" : wanted);
    return reply;
  }
  if (is_inference(route.endpoint) && draining_) {
    HttpReply reply = refused(503, "busy", "the server is about to end");
    reply.headers.emplace_back("Retry-After", "5");
    return reply;
  }
  return std::nullopt;
}

HttpReply Service::answer(const HttpRequest& request) noexcept {
  const Route route = route_of(request.path);
  RequestFacts facts;
  facts.endpoint = endpoint_name(route.endpoint);
  HttpReply reply;
  try {
    reply = dispatch(route, request, facts);
  } catch (const std::exception& error) {
    reply = error_reply(request.path, error);
    if (reply.status == 503) {
      int seconds = 1;
      for (const Entry& entry : models_) {
        if (entry.model->name() == facts.model) seconds = entry.model->retry_after();
      }
      reply.headers.emplace_back("Retry-After", std::to_string(seconds));
    }
  }
  reply.facts = std::move(facts);
  return reply;
}

HttpReply Service::dispatch(const Route& route, const HttpRequest& request, RequestFacts& facts) {
  switch (route.endpoint) {
    case Endpoint::kPage:
      return page_reply();
    case Endpoint::kMetrics:
      return metrics_text();
    case Endpoint::kLive:
      return json_reply({{"live", true}});
    case Endpoint::kReady:
      return json_reply({{"ready", !draining()}}, draining() ? 503 : 200);
    case Endpoint::kServer:
      return json_reply({{"name", "asmlp"},
                         {"version", version()},
                         {"extensions", {"binary_tensor_data", "classification"}}});
    case Endpoint::kModels:
      return list_models();
    case Endpoint::kModel:
      return json_reply(model_metadata(*find(route.model).model));
    case Endpoint::kModelReady:
      find(route.model);
      return json_reply({{"name", route.model}, {"ready", !draining()}}, draining() ? 503 : 200);
    case Endpoint::kInfer:
      return run_infer(route, request, facts);
    case Endpoint::kPredict:
      return run_task(Task::kClassify, request, facts);
    case Endpoint::kDetect:
      return run_task(Task::kDetect, request, facts);
    case Endpoint::kSegment:
      return run_task(Task::kSegment, request, facts);
    case Endpoint::kNone:
      break;
  }
  fail(ErrorCode::kNotFound, "nothing is at {}", request.path);
}

HttpReply Service::run_infer(const Route& route, const HttpRequest& request, RequestFacts& facts) {
  ServedModel& model = *find(route.model).model;
  facts.model = model.name();
  InferRequest parsed =
      parse_infer(*request.body, request.header("inference-header-content-length"));
  const std::string id = parsed.id;
  Results done;
  const std::vector<OutputTensor> outputs =
      infer(model, std::move(parsed), Clock::now() + options_.timeout, done);
  facts.images = static_cast<int>(done.images.size());
  facts.timing = done.timing;
  InferAnswer answer = format_infer(model.name(), id, outputs);
  HttpReply reply;
  reply.body = std::move(answer.body);
  if (answer.head) {
    reply.type = "application/octet-stream";
    reply.headers.emplace_back("Inference-Header-Content-Length", std::to_string(*answer.head));
  }
  return reply;
}

HttpReply Service::run_task(Task task, const HttpRequest& request, RequestFacts& facts) {
  const TaskRequest wanted = read_task_request(task, request);
  Entry& entry = choose(task, request);
  facts.model = entry.model->name();
  facts.images = static_cast<int>(wanted.pictures.size());
  const Clock::time_point start = Clock::now();
  const Results done = entry.model->run(wanted.pictures, start + options_.timeout);
  facts.timing = done.timing;
  return task_reply(*entry.model, entry.source, wanted, done,
                    std::chrono::duration<double>(Clock::now() - start).count());
}

HttpReply Service::list_models() const {
  Json list = Json::array();
  for (const Entry& entry : models_) {
    const ModelInfo& info = entry.model->model().info();
    list.push_back({{"name", entry.model->name()},
                    {"task", to_string(info.task)},
                    {"architecture", info.name},
                    {"classes", info.num_classes},
                    {"precision", to_string(info.precision)}});
  }
  return json_reply({{"models", std::move(list)}});
}

HttpReply Service::metrics_text() const {
  std::vector<Metrics::Gauge> gauges{
      {"asmlp_ready", "1 until the server is about to end.", "", draining_ ? 0.0 : 1.0}};
  for (const Entry& entry : models_) {
    gauges.push_back({"asmlp_queue_images", "Images that are accepted and not yet computed.",
                      "model=\"" + label_value(entry.model->name()) + "\"",
                      static_cast<double>(entry.model->waiting())});
  }
  gauges.push_back({"process_resident_memory_bytes", "Memory of this process.", "",
                    static_cast<double>(resident_memory())});
  HttpReply reply;
  reply.type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = metrics_.text(gauges);
  return reply;
}

Service::Entry& Service::find(const std::string& name) {
  std::vector<std::string> names;
  for (Entry& entry : models_) {
    if (entry.model->name() == name) return entry;
    names.push_back(entry.model->name());
  }
  fail(ErrorCode::kNotFound, "there is no model {}; there is: {}", name, fmt::join(names, ", "));
}

Service::Entry& Service::choose(Task task, const HttpRequest& request) {
  const auto named = request.query.find("model");
  if (named != request.query.end()) {
    Entry& entry = find(named->second);
    require(entry.model->task() == task, ErrorCode::kInvalidArgument, "{} does not {}; it can {}",
            entry.model->name(), to_string(task), to_string(entry.model->task()));
    return entry;
  }
  for (Entry& entry : models_) {
    if (entry.model->task() == task) return entry;
  }
  fail(ErrorCode::kNotFound, "this server has no model that can {}", to_string(task));
}

}  // namespace asmlp::server
