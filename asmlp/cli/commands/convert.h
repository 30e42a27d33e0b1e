// asmlp convert: what classifiers, detectors and segmentors share of it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/program.h"

namespace asmlp::cli {

struct ConvertOptions {
  std::string in;
  std::string out;
  std::string model;       // an architecture by name
  std::string config;      // or described in a file
  std::string class_map;   // one class name per line
  std::string shift_size;  // "5" or "5,7"
  std::string name;        // of the model; "": its own
  OutputOptions output;
};

// What was written: for people, for programs, and what had to be assumed.
struct Converted {
  std::string text;
  Json json;
  std::vector<std::string> notes;
};

// The command, whose reading and writing is `convert`. Before it runs, `out` has been found to be a
// writable place with the right extension and another file than `in`.
Command add_convert_by(CLI::App& program, std::function<Converted(const ConvertOptions&)> convert);

}  // namespace asmlp::cli
