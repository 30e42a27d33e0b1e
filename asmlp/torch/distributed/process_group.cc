#include "asmlp/torch/distributed/process_group.h"

#include <netdb.h>
#include <sys/socket.h>
#include <torch/version.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <type_traits>
#include <utility>

#include "asmlp/core/error.h"

// Since 2.0 a ProcessGroup is a table of Backends, one per kind of device; before, gloo's and
// NCCL's groups were process groups themselves.
#if TORCH_VERSION_MAJOR >= 2
#define ASMLP_C10D_BACKENDS 1
#else
#define ASMLP_C10D_BACKENDS 0
#endif

namespace asmlp::dist {
namespace {

using Group = c10::intrusive_ptr<c10d::ProcessGroup>;
using GlooOptions = c10d::ProcessGroupGloo::Options;

auto gloo_devices(const std::string& master) {
  decltype(GlooOptions::devices) devices;
  const char* interfaces = std::getenv("GLOO_SOCKET_IFNAME");
  if (master != kLoopback && interfaces && *interfaces) {
    std::istringstream names(interfaces);
    for (std::string name; std::getline(names, name, ',');) {
      devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
    }
    return devices;
  }
  const std::string address = address_toward(master);
  devices.push_back(address.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                    : c10d::ProcessGroupGloo::createDeviceForHostname(address));
  return devices;
}

#if ASMLP_C10D_BACKENDS
template <typename Backend>
Group group_of(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
               c10::DeviceType device, c10d::ProcessGroup::BackendType type,
               c10::intrusive_ptr<Backend> backend) {
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 6
  auto group = c10::make_intrusive<c10d::ProcessGroup>(
      store, rank, size,
      c10::make_intrusive<c10d::ProcessGroup::Options>(backend->getBackendName()));
#else
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, rank, size);
  group->setDefaultBackend(type);
#endif
  group->setBackend(device, type, backend);
  return group;
}
#endif

// The constructor has changed over the versions. skip_all_reduce_unused_params, use_python_reducer
// and a list of bucket sizes were added, all off here; the buckets' size limits went away at last.
template <typename Reducer, typename Parameters, typename Buckets, typename Limits,
          typename... Rest>
std::unique_ptr<Reducer> newest_reducer(const Parameters& parameters, Buckets buckets,
                                        Limits limits, Rest... rest) {
  using Sizes = std::vector<int64_t>;
  if constexpr (std::is_constructible_v<Reducer, Parameters, Buckets, Limits, Rest...>) {
    return std::make_unique<Reducer>(parameters, buckets, limits, rest...);
  } else if constexpr (std::is_constructible_v<Reducer, Parameters, Buckets, Limits, Rest...,
                                               bool>) {
    return std::make_unique<Reducer>(parameters, buckets, limits, rest..., false);
  } else if constexpr (std::is_constructible_v<Reducer, Parameters, Buckets, Limits, Rest..., bool,
                                               bool>) {
    return std::make_unique<Reducer>(parameters, buckets, limits, rest..., false, false);
  } else if constexpr (std::is_constructible_v<Reducer, Parameters, Buckets, Limits, Rest..., bool,
                                               bool, Sizes>) {
    return std::make_unique<Reducer>(parameters, buckets, limits, rest..., false, false, Sizes());
  } else {
    return std::make_unique<Reducer>(parameters, buckets, rest..., false, false, Sizes());
  }
}

class ReducerSync : public GradientSync {
 public:
  explicit ReducerSync(std::unique_ptr<c10d::Reducer> reducer) : reducer_(std::move(reducer)) {}

  void before_backward(const torch::Tensor& loss, bool complete) override {
    if (!complete) return;  // the reducer's hooks do nothing then
    // After the first step, the buckets are made anew in the order in which the gradients really
    // came.
    reducer_->rebuild_buckets();
    reducer_->prepare_for_backward({loss});
  }
  void after_backward() override {}  // the reducer's hooks have waited for the buckets

 private:
  std::unique_ptr<c10d::Reducer> reducer_;
};

// The gradient of a 1 x 1 convolution may come with other strides of the axes of length 1 than the
// parameter has: the same memory, but the reducer warns of it and copies.
void keep_strides(const torch::Tensor& parameter) {
  if (parameter.dim() != 4 || parameter.size(2) != 1 || parameter.size(3) != 1) return;
  const std::vector<int64_t> strides = parameter.strides().vec();
  parameter.register_hook([strides](const torch::Tensor& gradient) {
    const bool same_memory = gradient.defined() && gradient.is_contiguous();
    return same_memory ? gradient.as_strided(gradient.sizes(), strides) : gradient;
  });
}

}  // namespace

std::string address_toward(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), "9", &hints, &list) != 0) return "";
  std::string result;
  for (const addrinfo* a = list; a && result.empty(); a = a->ai_next) {
    // Connecting a datagram socket sends nothing, but lets the system choose the way out.
    const int fd = ::socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    char text[NI_MAXHOST];
    if (::connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      result = text;
    }
    ::close(fd);
  }
  freeaddrinfo(list);
  return result;
}

Group make_process_group(Transport transport, const c10::intrusive_ptr<c10d::Store>& store,
                         int rank, int size, const std::string& master,
                         std::chrono::milliseconds limit) {
  if (transport == Transport::kNccl) {
#ifdef USE_C10D_NCCL
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = limit;
    auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
#if ASMLP_C10D_BACKENDS
    return group_of(store, rank, size, c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL,
                    nccl);
#else
    return nccl;
#endif
#else
    fail(ErrorCode::kUnsupported,
         "training on several GPUs needs NCCL, which this LibTorch was built without: use one "
         "process, or the CPU");
#endif
  }
  auto options = GlooOptions::create(limit);
  options->devices = gloo_devices(master);
  options->threads = static_cast<int>(2 * options->devices.size());
  auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
#if ASMLP_C10D_BACKENDS
  return group_of(store, rank, size, c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO,
                  gloo);
#else
  return gloo;
#endif
}

std::unique_ptr<GradientSync> make_gradient_sync(const std::vector<torch::Tensor>& parameters,
                                                 Group group) {
  for (const torch::Tensor& parameter : parameters) keep_strides(parameter);
  const std::vector<bool> sparse(parameters.size(), false);
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(
      parameters, {c10d::kDefaultFirstBucketBytes, c10d::kDefaultBucketBytesCap}, sparse);
  std::reverse(buckets.begin(), buckets.end());
  std::reverse(limits.begin(), limits.end());
  auto reducer = newest_reducer<c10d::Reducer>(
      parameters, std::move(buckets), std::move(limits), std::move(group), sparse,
      int64_t{c10d::kDefaultBucketBytesCap}, /*find_unused_parameters=*/false,
      /*gradient_as_bucket_view=*/true, std::unordered_map<size_t, std::string>(),
      int64_t{c10d::kDefaultFirstBucketBytes});
  return std::make_unique<ReducerSync>(std::move(reducer));
}

}  // namespace asmlp::dist
