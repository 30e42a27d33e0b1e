// Runs the installed command as a user does and looks at what it leaves behind.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "asmlp/model/spec.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/fill.h"
#include "tests/support/support.h"

extern char** environ;

namespace asmlp::test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

inline std::string slurp(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct Outcome {
  int code = -1;  // exit code, or 1000 + signal
  std::string out;
  std::string err;
  Json json() const { return Json::parse(out); }
};

struct RunSettings {
  fs::path program = ASMLP_BIN;
  std::vector<std::string> environment = {};  // replaces it when not empty
  int kill_after_us = -1;                     // SIGKILL after so long
  int out_fd = -1;                            // standard output goes here, not to Outcome::out
  std::string in = {};                        // the file that is standard input
};

// This process's environment with "NAME=value", for RunSettings: the first entry of a name counts.
inline std::vector<std::string> environment_with(const std::string& entry) {
  std::vector<std::string> all{entry};
  for (char** at = environ; *at != nullptr; ++at) all.emplace_back(*at);
  return all;
}

inline Outcome run(const std::vector<std::string>& arguments, const RunSettings& settings = {}) {
  const TemporaryFolder folder;
  const std::string out = folder.path() / "out", err = folder.path() / "err";
  std::vector<std::string> words{settings.program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = settings.environment;
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (settings.out_fd >= 0) {
    posix_spawn_file_actions_adddup2(&actions, settings.out_fd, 1);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
  }
  if (!settings.in.empty()) {
    posix_spawn_file_actions_addopen(&actions, 0, settings.in.c_str(), O_RDONLY, 0);
  }
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = 0;
  const int failed = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(),
                                 environment.empty() ? environ : envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return {};
  if (settings.kill_after_us >= 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(settings.kill_after_us));
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), slurp(out),
          slurp(err)};
}

// A small color model of 5 classes by the fill rule; returns the file.
inline fs::path write_model(const fs::path& file, int in_chans = 3, int classes = 5,
                            int embed_dim = 8, int size = 32) {
  Checkpoint checkpoint;
  checkpoint.spec.name = "filled";
  Config& config = checkpoint.spec.config;
  config.in_chans = in_chans;
  config.num_classes = classes;
  config.embed_dim = embed_dim;
  config.depths = {1, 1};
  checkpoint.spec.preprocessing = default_preprocessing(config, size);
  for (int k = 0; k < classes; ++k) {
    checkpoint.spec.classes.push_back("kind " + std::string(1, static_cast<char>('a' + k)));
  }
  checkpoint.tensors = fill_parameters(config);
  save_checkpoint(file, checkpoint);
  return file;
}

// Names in a folder, sorted: to see that nothing else was left there.
inline std::vector<std::string> listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace asmlp::test
