// How the tables of parameters are put together (params.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "asmlp/model/params.h"

namespace asmlp {

// Adds the parameters of a layer under its name, in the order in which PyTorch registers them.
class ParamTable {
 public:
  void conv(const std::string& name, int64_t out, int64_t in, int64_t kernel = 1) {
    params_.push_back({name + ".weight", {out, in, kernel, kernel}});
  }
  void conv_with_bias(const std::string& name, int64_t out, int64_t in, int64_t kernel = 1) {
    conv(name, out, in, kernel);
    params_.push_back({name + ".bias", {out}});
  }
  void norm(const std::string& name, int64_t channels) {
    params_.push_back({name + ".weight", {channels}});
    params_.push_back({name + ".bias", {channels}});
  }
  void linear(const std::string& name, int64_t out, int64_t in) {
    params_.push_back({name + ".weight", {out, in}});
    params_.push_back({name + ".bias", {out}});
  }
  // mmcv's ConvModule: "conv" with bias, or without one and "bn".
  void conv_module(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    conv_with_bias(name + ".conv", out, in, kernel);
  }
  void conv_bn(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    conv(name + ".conv", out, in, kernel);
    norm(name + ".bn", out);
    params_.push_back({name + ".bn.running_mean", {out}, false});
    params_.push_back({name + ".bn.running_var", {out}, false});
    params_.push_back({name + ".bn.num_batches_tracked", {}, false});
  }
  // A backbone of AS-MLP under "backbone.", with a norm per stage in the place of the final one.
  void backbone(const Config& config);

  std::vector<Param> take() { return std::move(params_); }

 private:
  std::vector<Param> params_;
};

}  // namespace asmlp
