// Several processes: each test starts this very program again, once per rank, to run the DISABLED
// test below, which looks up in `cases` what that process is to do. A process reports by its exit
// code (0: all expectations held) and by what it prints.
#include "asmlp/torch/distributed/connect.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <torch/torch.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

extern char** environ;

namespace asmlp::dist::connect_test {
namespace {

using testing::AllOf, testing::HasSubstr;
using namespace std::chrono_literals;

// ---------------------------------------------------------------- what a process does

// Faster than in earnest, but slow enough for a machine that stands still for two seconds at times.
ConnectOptions quick_options() {
  ConnectOptions options;
  options.join_limit = 60s;
  options.watch.beat = 100ms;
  options.watch.silence = 40;
  options.watch.alarmed_silence = 20;
  options.watch.on_lost = [](const PeerLost& lost) {
    std::cout << "while it hung: " << lost.what() << std::endl;
    ::_exit(7);
  };
  return options;
}

std::unique_ptr<World> connect_here() {
  return connect(*rendezvous_from_environment(), quick_options());
}

void collectives() {
  const auto world = connect_here();
  const int rank = world->rank(), size = world->size();
  torch::Tensor sum = torch::full({1000}, double(rank + 1), torch::kFloat64);
  world->all_reduce(sum);
  EXPECT_TRUE(sum.eq(size * (size + 1) / 2).all().item<bool>());
  std::vector<torch::Tensor> tensors;
  for (int64_t k = 0; k < 20; ++k) {
    tensors.push_back(torch::full({k, 3}, float(100 * rank + k)).requires_grad_(k % 2 == 0));
  }
  tensors.push_back(torch::tensor({rank}, torch::kInt64));
  world->broadcast(tensors);
  for (int64_t k = 0; k < 20; ++k) EXPECT_TRUE(tensors[size_t(k)].eq(k).all().item<bool>());
  EXPECT_EQ(tensors.back().item<int64_t>(), 0);
  EXPECT_TRUE(any(*world, rank == size - 1));
  EXPECT_FALSE(any(*world, false));
  // Bytes of every value, none from rank 0.
  const auto bytes_of = [](int r) {
    std::string bytes;
    for (int i = 0; i < 300 * r; ++i) bytes += static_cast<char>(i);
    return bytes;
  };
  const std::vector<std::string> all = all_gather(*world, bytes_of(rank));
  ASSERT_EQ(static_cast<int>(all.size()), size);
  for (int r = 0; r < size; ++r) EXPECT_EQ(all[static_cast<size_t>(r)], bytes_of(r)) << r;
  EXPECT_EQ(all_gather(*world, ""), std::vector<std::string>(static_cast<size_t>(size)));
  world->barrier();
  // The ends of a run are not at the same time everywhere, and that is no failure.
  if (rank == 0) std::this_thread::sleep_for(3s);
}

torch::nn::Sequential small_model() {
  torch::manual_seed(5);
  return torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 24, 4).stride(4)),
                               torch::nn::GELU(), torch::nn::Conv2d(24, 48, 1), torch::nn::GELU(),
                               torch::nn::AdaptiveAvgPool2d(1), torch::nn::Flatten(),
                               torch::nn::Linear(48, 7));
}

// Every process has its part of each batch, and the whole of it for comparison.
void gradients(LocalSums sums, torch::ScalarType type) {
  ConnectOptions options = quick_options();
  options.local_sums = sums;
  const auto world = connect(*rendezvous_from_environment(), options);
  constexpr int64_t kPart = 4, kSteps = 4;
  torch::nn::Sequential model = small_model(), alone = small_model();
  model->to(type);
  alone->to(type);
  // Other values than rank 0's, until they are broadcast.
  for (torch::Tensor& p : model->parameters()) {
    const torch::NoGradGuard no_grad;
    p.add_(world->rank());
  }
  world->broadcast(model->parameters());
  const auto sync = world->synchronize(model->parameters());
  const auto loss_of = [](torch::nn::Sequential& m, const torch::Tensor& images,
                          const torch::Tensor& labels) {
    return torch::nn::functional::cross_entropy(m->forward(images), labels);
  };
  double worst = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    const int64_t pieces = 1 + step % 2;  // every second step accumulates two backward passes
    for (torch::Tensor& p : model->parameters()) {
      // Dropped or kept, the next ones are the same.
      if (step < 2) p.mutable_grad() = torch::Tensor();
      if (p.grad().defined()) p.mutable_grad().zero_();
    }
    alone->zero_grad();
    for (int64_t piece = 0; piece < pieces; ++piece) {
      torch::manual_seed(uint64_t(100 * step + piece));
      const int64_t all = kPart * world->size(), first = kPart * world->rank();
      const torch::Tensor images = torch::randn({all, 3, 24, 20}).to(type);
      const torch::Tensor labels = torch::randint(7, {all}, torch::kInt64);
      loss_of(alone, images, labels).backward();
      const torch::Tensor loss = loss_of(model, images.slice(0, first, first + kPart),
                                         labels.slice(0, first, first + kPart));
      sync->before_backward(loss, piece == pieces - 1);
      loss.backward();
      sync->after_backward();
    }
    const auto ours = model->parameters(), reference = alone->parameters();
    for (size_t i = 0; i < ours.size(); ++i) {
      const torch::Tensor a = ours[i].grad().to(torch::kFloat).contiguous();
      const torch::Tensor b = reference[i].grad().to(torch::kFloat).contiguous();
      worst = std::max(worst, test::relative_error({a.data_ptr<float>(), size_t(a.numel())},
                                                   {b.data_ptr<float>(), size_t(b.numel())}));
      torch::Tensor zeroth = a.clone();
      world->broadcast({zeroth});
      EXPECT_TRUE(zeroth.equal(a)) << "the bits of parameter " << i << " differ between the ranks";
    }
  }
  // The same terms in another order. The longest sums of a gradient go over the 6 x 5 patches of up
  // to 12 images: their rounding errors grow as the root of that; and a gradient passes some 20
  // layers, each of which adds its own.
  const double bound = std::numeric_limits<float>::epsilon() * std::sqrt(12 * 30.0) * 20;
  std::cout << "largest relative difference " << worst << ", bound " << bound << std::endl;
  EXPECT_LT(worst, bound);
}

void no_gradient() {
  const auto world = connect_here();
  const torch::Tensor used = torch::ones({7}).requires_grad_(), unused = used.clone().detach();
  const auto sync = world->synchronize({used, unused.requires_grad_()});
  const torch::Tensor loss = (used * used).sum();
  sync->before_backward(loss, true);
  loss.backward();
  const auto error = test::error_of(ErrorCode::kInvalidArgument, [&] { sync->after_backward(); });
  EXPECT_THAT(error, HasSubstr("of 2 parameters, 1 got no gradient"));
}

// Works together until something happens to the rank `victim`.
void together(int victim, const std::function<void()>& accident) {
  const auto world = connect_here();
  torch::Tensor x = torch::ones({100000});
  const torch::Tensor weight = torch::ones({1000}).requires_grad_();
  const auto sync = world->synchronize({weight});
  try {
    for (int step = 0; step < 2000; ++step) {
      if (world->rank() == victim && step == 20) accident();
      const torch::Tensor loss = (weight * weight).sum();
      sync->before_backward(loss, true);
      loss.backward();
      sync->after_backward();
      world->all_reduce(x);
      x.fill_(1);
      std::this_thread::sleep_for(2ms);
    }
  } catch (const std::exception& error) {
    world->explain(error);
    throw;
  }
}

void expect_port_in_use() {
  const auto r = *rendezvous_from_environment();
  try {
    connect(r, quick_options());
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("in use"), HasSubstr(std::to_string(r.port)),
                                    HasSubstr("MASTER_PORT")));
  }
}

void meet_in_vain() {
  ConnectOptions options = quick_options();
  options.join_limit = 2s;
  connect(*rendezvous_from_environment(), options);
}

const std::map<std::string, std::function<void()>> cases{
    {"collectives", collectives},
    {"gradients", [] { gradients(LocalSums::kMemory, torch::kFloat); }},
    {"gradients in fp64", [] { gradients(LocalSums::kMemory, torch::kDouble); }},
    {"gradients by gloo", [] { gradients(LocalSums::kNetwork, torch::kFloat); }},
    {"no gradient", no_gradient},
    {"killed 0", [] { together(0, [] { ::raise(SIGKILL); }); }},
    {"killed 1", [] { together(1, [] { ::raise(SIGKILL); }); }},
    {"stopped 0", [] { together(0, [] { ::raise(SIGSTOP); }); }},
    {"stopped 1", [] { together(1, [] { ::raise(SIGSTOP); }); }},
    {"failed 0", [] { together(0, [] { fail(ErrorCode::kIo, "the disk is full"); }); }},
    {"failed 1", [] { together(1, [] { fail(ErrorCode::kIo, "the disk is full"); }); }},
    {"port in use", expect_port_in_use},
    {"meet in vain", meet_in_vain},
};

TEST(Process, DISABLED_OfAnotherTest) {
  const char* name = std::getenv("ASMLP_DIST_CASE");
  ASSERT_NE(name, nullptr);
  at::set_num_threads(1);
  try {
    cases.at(name)();
  } catch (const std::exception& error) {
    std::cout << "error: " << error.what() << std::endl;
    ::_exit(6);
  }
}

// ---------------------------------------------------------------- the tests

struct Result {
  int code = -1;  // exit code, or 1000 + signal
  std::string output;
};

class Processes {
 public:
  // Rank -> the number of processes it believes in.
  Processes(const std::string& name, const std::vector<std::pair<int, int>>& ranks,
            int port = free_port()) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    for (const auto& [rank, size] : ranks) {
      std::vector<std::string> variables{
          "RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(size),
          "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + std::to_string(port),
          "ASMLP_DIST_CASE=" + name};
      std::vector<char*> environment;
      for (std::string& variable : variables) environment.push_back(variable.data());
      for (char** e = environ; *e; ++e) environment.push_back(*e);
      environment.push_back(nullptr);
      std::vector<std::string> words{program, "--gtest_also_run_disabled_tests",
                                     "--gtest_filter=Process.DISABLED_OfAnotherTest"};
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      const std::string output = folder_.path() / std::to_string(pids_.size());
      posix_spawn_file_actions_t actions;
      posix_spawn_file_actions_init(&actions);
      posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT, 0600);
      posix_spawn_file_actions_adddup2(&actions, 1, 2);
      pid_t pid = 0;
      EXPECT_EQ(
          posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environment.data()),
          0);
      posix_spawn_file_actions_destroy(&actions);
      pids_.push_back(pid);
    }
  }
  ~Processes() {
    for (const pid_t pid : pids_) {
      if (pid > 0) ::kill(pid, SIGKILL), ::waitpid(pid, nullptr, 0);
    }
  }
  Result wait(size_t index) {
    int status = 0;
    ::waitpid(pids_.at(index), &status, 0);
    pids_[index] = 0;
    std::ostringstream text;
    text << std::ifstream(folder_.path() / std::to_string(index)).rdbuf();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), text.str()};
  }

 private:
  test::TemporaryFolder folder_;
  std::vector<pid_t> pids_;
};

std::vector<std::pair<int, int>> ranks(int size) {
  std::vector<std::pair<int, int>> result;
  for (int rank = 0; rank < size; ++rank) result.emplace_back(rank, size);
  return result;
}

void expect_success(const std::string& name, int size) {
  Processes processes(name, ranks(size));
  for (int rank = 0; rank < size; ++rank) {
    const Result result = processes.wait(size_t(rank));
    EXPECT_EQ(result.code, 0) << "rank " << rank << " of " << size << ": " << result.output;
  }
}

TEST(Connect, Collectives) { expect_success("collectives", 3); }

TEST(Connect, GradientsAreThoseOfOneProcessWithTheWholeBatch) {
  for (const int size : {2, 3}) {
    expect_success("gradients", size);
    expect_success("gradients by gloo", size);
  }
  expect_success("gradients in fp64", 2);
}

TEST(Connect, AParameterWithoutAGradientIsNamed) { expect_success("no gradient", 2); }

// Whatever happens to a process, the others end and name it.
TEST(Connect, TheLossOfAProcessEndsTheOthersWithItsName) {
  for (const int victim : {1, 0}) {
    const std::string name = "rank " + std::to_string(victim);
    for (const char* accident : {"killed", "stopped", "failed"}) {
      Processes processes(fmt::format("{} {}", accident, victim), ranks(3));
      for (const int rank : {2, 1 - victim}) {
        const Result result = processes.wait(size_t(rank));
        EXPECT_THAT(result.code, testing::AnyOf(6, 7)) << result.output;
        EXPECT_THAT(result.output, HasSubstr(name + " (")) << accident;
      }
      if (std::string(accident) == "stopped") continue;
      const Result own = processes.wait(size_t(victim));
      EXPECT_EQ(own.code, std::string(accident) == "killed" ? 1000 + SIGKILL : 6) << own.output;
      if (own.code == 6) {
        EXPECT_THAT(own.output, HasSubstr("error: the disk is full"));
      }
    }
  }
}

TEST(Connect, MeetingsThatFailSayWhy) {
  {
    // Somebody listens at the port.
    const int port = free_port();
    Processes first("meet in vain", {{0, 2}}, port);
    std::this_thread::sleep_for(1s);
    Processes third("port in use", {{0, 2}}, port);
    const Result result = third.wait(0);
    EXPECT_EQ(result.code, 0) << result.output;
    // Meanwhile rank 1 did not come.
    const Result lonely = first.wait(0);
    EXPECT_EQ(lonely.code, 6);
    EXPECT_THAT(lonely.output,
                HasSubstr("did not come to 127.0.0.1:" + std::to_string(port) + ": rank 1."));
  }
  {
    Processes processes("meet in vain", {{1, 2}});  // nobody there
    const Result result = processes.wait(0);
    EXPECT_EQ(result.code, 6);
    EXPECT_THAT(result.output, HasSubstr("cannot reach rank 0 at 127.0.0.1:"));
  }
  {
    Processes processes("meet in vain", {{0, 3}, {1, 3}, {1, 3}});
    EXPECT_THAT(processes.wait(0).output, HasSubstr("rank 2."));
    EXPECT_THAT(processes.wait(1).output + processes.wait(2).output,
                HasSubstr("call themselves rank 1"));
  }
  {
    Processes processes("meet in vain", {{0, 2}, {1, 3}});
    for (const size_t index : {0u, 1u}) {
      EXPECT_THAT(processes.wait(index).output,
                  AllOf(HasSubstr("one of 2 processes, rank 1"), HasSubstr("one of 3")));
    }
  }
}

}  // namespace
}  // namespace asmlp::dist::connect_test
