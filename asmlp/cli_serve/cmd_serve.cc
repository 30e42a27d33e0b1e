// asmlp serve: models behind HTTP.
#include <cstdlib>
#include <memory>
#include <mutex>

#include "asmlp/asmlp.hpp"
#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli_serve/commands.h"
#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/core/stop_signals.h"
#include "asmlp/model/exif.h"
#include "asmlp/server/http_server.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct ServeOptions {
  std::vector<std::string> models;
  RunOptions run;
  server::HttpOptions http;
  double max_delay_ms = 2;
  int max_batch = 8, max_queue = 64, workers = 1;
  double timeout = 30, keep_alive = 15;
  double max_body_mb = 32;
  int64_t max_pixels = 50'000'000;
  std::string exif = "apply";
  std::string api_key;
  std::string log = "text";
};

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

server::ServiceOptions service_options(const ServeOptions& options) {
  server::ServiceOptions service;
  service.batching = {
      .max_batch = options.max_batch,
      .max_delay = std::chrono::microseconds(static_cast<int64_t>(options.max_delay_ms * 1000)),
      .max_queue = options.max_queue,
      .workers = options.workers};
  service.threads = options.run.threads;
  service.exif = options.exif == "apply" ? Exif::kApply : Exif::kIgnore;
  service.max_pixels = options.max_pixels;
  service.timeout = milliseconds(options.timeout);
  service.api_key = options.api_key;
  return service;
}

// "FILE" or "NAME=FILE"; without a name, the file's without its extension. A file whose name holds
// '=' is a file where it exists.
struct NamedFile {
  std::string name;
  fs::path file;
};
NamedFile named_file(const std::string& text) {
  const size_t equals = text.find('=');
  std::error_code ignored;
  if (equals == std::string::npos || fs::exists(text, ignored)) {
    return {fs::path(text).stem().string(), text};
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_models(const ServeOptions& options, server::Service& service) {
  std::vector<NamedFile> files;
  for (const std::string& model : options.models) files.push_back(named_file(model));
  const bool bundled = files.empty();
  if (bundled) files.push_back(named_file(bundled_model(Task::kClassify).string()));
  LoadOptions loading;
  loading.isa = parse_isa(options.run.isa, "--isa");
  if (!options.run.precision.empty()) loading.precision = parse_precision(options.run.precision);
  for (const NamedFile& named : files) {
    LoadResult loaded = load_model(named.file, loading);
    for (const std::string& note : loaded.notes) {
      print_note(fmt::format("{}: {}", named.file.string(), note));
    }
    const ModelInfo& info = loaded.model->info();
    print_note(fmt::format("{}: {} {}, {} classes, {} on {}", named.name, info.name,
                           to_string(info.task), info.num_classes, to_string(info.precision),
                           to_string(info.isa)));
    service.add(named.name, loaded.model, named.file.filename().string(), bundled);
  }
}

// One line for each request, whole, from many threads.
server::HttpServer::Log access_log(const std::string& kind) {
  if (kind == "off") return {};
  const auto mutex = std::make_shared<std::mutex>();
  return [json = kind == "json", mutex](const server::AccessRecord& record) {
    const std::string time = server::utc_now();
    const std::string line =
        json ? server::json_line(record, time) : server::text_line(record, time);
    const std::lock_guard lock(*mutex);
    print_screen(line + '\n');
  };
}

int run_serve(ServeOptions options) {
  if (const char* key = std::getenv("ASMLP_API_KEY"); key != nullptr && options.api_key.empty()) {
    options.api_key = key;
  }
  options.http.timeout = milliseconds(options.timeout);
  options.http.keep_alive = milliseconds(options.keep_alive);
  options.http.max_body = static_cast<uint64_t>(options.max_body_mb * (1 << 20));
  // From before the models are loaded: a signal then ends the server as soon as it could serve.
  const StopSignals signals(StopSignals::Second::kEndsProgram);
  server::Metrics metrics;
  server::Service service(service_options(options), metrics);
  add_models(options, service);
  server::HttpServer http(service, metrics, options.http, access_log(options.log));
  const bool v6 = options.http.host.find(':') != std::string::npos;
  print_out(fmt::format("listening on http://{}:{}/\n",
                        v6 ? "[" + options.http.host + "]" : options.http.host, http.port()));
  http.run(StopSignals::requested());
  print_note("all accepted requests are answered");
  return kExitOk;
}

}  // namespace

Command add_serve(CLI::App& program) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* app = add_subcommand(
      program, "serve", "Answer over HTTP",
      "Endpoints: POST /v1/predict, /v1/detect, /v1/segment with a picture as the body; the Open\n"
      "Inference Protocol (KServe V2) below /v2; GET /metrics for Prometheus; a page for photos "
      "at /.\n"
      "SIGTERM and Ctrl-C: what was accepted is answered, then the exit code is 0.\n"
      "Examples:\n"
      "  asmlp serve --model model.safetensors\n"
      "  curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/predict?topk=3\n"
      "  asmlp serve --model street=mask_rcnn.safetensors --model scene=upernet.safetensors\n"
      "  ASMLP_API_KEY=$(cat key) asmlp serve --model m.safetensors --host 0.0.0.0 --log json");
  app->add_option(
         "-m,--model", options->models,
         "weight file to serve, any task; its name in paths is the file's, or NAME. May be "
         "given several times; default: the bundled classifier")
      ->type_name("[NAME=]FILE")
      ->group("Model");
  add_run_options(*app, options->run);
  const std::string address = "Address";
  app->add_option("--host", options->http.host, "address to listen on")
      ->capture_default_str()
      ->type_name("ADDR")
      ->group(address);
  app->add_option("--port", options->http.port, "port; 0: the system picks one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str()
      ->type_name("N")
      ->group(address);
  app->add_option("--api-key", options->api_key,
                  "ask for `Authorization: Bearer KEY`, but not for health and page; others see "
                  "command lines, so better set $ASMLP_API_KEY")
      ->type_name("KEY")
      ->group(address);
  const std::string batching = "Batching, for each model";
  app->add_option("--max-batch", options->max_batch, "images computed at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->type_name("N")
      ->group(batching);
  app->add_option("--max-delay", options->max_delay_ms,
                  "milliseconds that an image waits for others")
      ->check(CLI::Range(0.0, 10'000.0))
      ->capture_default_str()
      ->type_name("MS")
      ->group(batching);
  app->add_option("--max-queue", options->max_queue,
                  "images that are accepted and not yet computed; beyond: 503 and Retry-After")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str()
      ->type_name("N")
      ->group(batching);
  app->add_option("--workers", options->workers,
                  "batches computed at the same time, each with --threads: 1 is best for latency")
      ->check(CLI::Range(1, 64))
      ->capture_default_str()
      ->type_name("N")
      ->group(batching);
  const std::string limits = "Limits";
  app->add_option("--max-body", options->max_body_mb, "MiB of a request's body")
      ->check(CLI::Range(0.001, 2048.0))
      ->capture_default_str()
      ->type_name("MIB")
      ->group(limits);
  app->add_option("--max-pixels", options->max_pixels, "of a picture or tensor")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000'000}))
      ->capture_default_str()
      ->type_name("N")
      ->group(limits);
  app->add_option("--timeout", options->timeout,
                  "seconds for a request to arrive, for its computation, and for its answer")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str()
      ->type_name("S")
      ->group(limits);
  app->add_option("--keep-alive", options->keep_alive, "seconds that a connection may be idle")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str()
      ->type_name("S")
      ->group(limits);
  app->add_option("--max-connections", options->http.max_connections,
                  "at the same time; beyond: 503")
      ->check(CLI::Range(1, 900))
      ->capture_default_str()
      ->type_name("N")
      ->group(limits);
  app->add_option("--exif", options->exif, "EXIF orientation of pictures: apply or ignore")
      ->check(CLI::IsMember({"apply", "ignore"}))
      ->capture_default_str()
      ->type_name("NAME")
      ->group("Pictures");
  app->add_option("--log", options->log,
                  "a line on standard error for each request: text, json, or off")
      ->check(CLI::IsMember({"text", "json", "off"}))
      ->capture_default_str()
      ->type_name("KIND")
      ->group("Output");
  return {app, [options] { return run_serve(*options); }};
}

}  // namespace asmlp::cli
