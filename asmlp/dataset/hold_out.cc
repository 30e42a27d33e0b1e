#include "asmlp/dataset/hold_out.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// FNV-1a (Fowler, Noll, Vo), then the last steps of splitmix64 (Steele, Lea, Flood), because the
// low bits of FNV-1a alone tell little of the first characters.
uint64_t hash_of(const std::string& name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325 ^ (seed * 0x9e3779b97f4a7c15);
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

}  // namespace

std::vector<bool> hold_out(std::span<const HoldOutSample> samples, double fraction, uint64_t seed,
                           const std::string& what) {
  require(fraction > 0 && fraction < 1, ErrorCode::kInvalidArgument,
          "val-fraction {}: must be between 0 and 1", fraction);
  require(samples.size() >= 2, ErrorCode::kInvalidArgument,
          "{}: has {} training image{}, too few to hold out some for validation", what,
          samples.size(), samples.size() == 1 ? "" : "s");
  // Per stratum the samples in the order of their hashes.
  using Keyed = std::pair<std::pair<uint64_t, std::string>, size_t>;
  std::map<int, std::vector<Keyed>> strata;
  for (size_t i = 0; i < samples.size(); ++i) {
    strata[samples[i].stratum].push_back({{hash_of(samples[i].name, seed), samples[i].name}, i});
  }
  // Small strata first: what they cannot give the large ones do.
  std::vector<std::vector<Keyed>*> by_size;
  for (auto& [stratum, members] : strata) by_size.push_back(&members);
  std::ranges::stable_sort(by_size, {}, [](const auto* members) { return members->size(); });
  std::vector<bool> held(samples.size());
  double wanted = 0;  // so far, in samples
  int64_t taken = 0;
  for (std::vector<Keyed>* stratum : by_size) {
    std::vector<Keyed>& members = *stratum;
    std::ranges::sort(members);
    // What rounding took from one stratum the next ones give.
    wanted += fraction * double(members.size());
    const int64_t count =
        std::clamp<int64_t>(std::llround(wanted - double(taken)), 0, std::ssize(members) - 1);
    for (int64_t i = 0; i < count; ++i) held[members[static_cast<size_t>(i)].second] = true;
    taken += count;
  }
  if (taken == 0) held[by_size.back()->front().second] = true;
  return held;
}

}  // namespace asmlp
