#include "asmlp/torch/distributed/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "asmlp/core/error.h"

namespace asmlp::dist::rendezvous_test {
namespace {

using Variables = std::map<std::string, std::string>;

std::optional<Rendezvous> read(const Variables& variables) {
  return rendezvous_from([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

// rank/size@local_rank address:port source, "one" for one process, or the error's message.
std::string outcome(const Variables& variables) {
  try {
    const auto r = read(variables);
    if (!r) return "one";
    return fmt::format("{}/{}@{} {}:{} {}", r->rank, r->size, r->local_rank, r->address, r->port,
                       r->source);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
}

const Variables kTorchrun{{"RANK", "3"},        {"WORLD_SIZE", "4"},
                          {"LOCAL_RANK", "1"},  {"LOCAL_WORLD_SIZE", "2"},
                          {"MASTER_ADDR", "a"}, {"MASTER_PORT", "77"}};
const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "1"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
const Variables kSlurm{{"SLURM_JOB_ID", "41234"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "5"},
                       {"SLURM_NTASKS", "8"},
                       {"SLURM_STEP_NUM_TASKS", "6"},
                       {"SLURM_LOCALID", "2"},
                       {"SLURM_JOB_NODELIST", "n[07-09]"},
                       {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.9"}};

Variables with(Variables variables, const Variables& changes) {
  for (const auto& [name, value] : changes) variables[name] = value;
  return variables;
}

Variables without(Variables variables, std::initializer_list<const char*> names) {
  for (const char* name : names) variables.erase(name);
  return variables;
}

TEST(Rendezvous, UnderstandsEveryStarter) {
  EXPECT_EQ(outcome(kTorchrun), "3/4@1 a:77 torchrun");
  EXPECT_EQ(outcome(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}})),
            "3/4@1 a:78 torchrun");
  EXPECT_EQ(outcome(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}})),
            "3/4@1 a:77 torchrun");
  EXPECT_EQ(outcome(without(kTorchrun, {"LOCAL_RANK", "LOCAL_WORLD_SIZE"})), "3/4@0 a:77 torchrun");

  EXPECT_EQ(outcome(with(kOpenMpi, {{"MASTER_ADDR", "b"}})), "1/4@1 b:29500 Open MPI");
  EXPECT_EQ(outcome(with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}, {"MASTER_PORT", "5"}})),
            "1/4@1 127.0.0.1:5 Open MPI");
  const Variables pmi{{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"MPI_LOCALRANKID", "0"}};
  EXPECT_EQ(outcome(with(pmi, {{"MASTER_ADDR", "c"}})), "2/3@0 c:29500 PMI");
  EXPECT_EQ(outcome(with(pmi, {{"MPI_LOCALNRANKS", "3"}})), "2/3@0 127.0.0.1:29500 PMI");

  EXPECT_EQ(outcome(kSlurm), "5/6@2 n07:11234 Slurm");
  EXPECT_EQ(outcome(with(kSlurm, {{"SLURM_STEP_ID", "2"}})), "5/6@2 n07:11236 Slurm");
  EXPECT_EQ(outcome(with(kSlurm, {{"SLURM_STEP_NODELIST", "n08,n09"}})), "5/6@2 n08:11234 Slurm");
  EXPECT_EQ(outcome(with(kSlurm, {{"MASTER_ADDR", "d"}, {"MASTER_PORT", "6"}})), "5/6@2 d:6 Slurm");
  EXPECT_EQ(outcome(without(kSlurm, {"SLURM_STEP_NUM_TASKS"})), "5/8@2 n07:11234 Slurm");
  EXPECT_EQ(outcome(without(kSlurm, {"SLURM_JOB_NODELIST", "SLURM_JOB_ID"})),
            "5/6@2 10.0.0.9:29500 Slurm");
  // srun --mpi=pmi2 sets both families; mpirun inside of a job reads the job's machines.
  EXPECT_EQ(outcome(with(kSlurm, pmi)), "2/3@0 n07:11234 PMI");
  // The innermost starter counts.
  EXPECT_EQ(outcome(with(kSlurm, kTorchrun)), "3/4@1 a:77 torchrun");
}

TEST(Rendezvous, OneProcessNeedsNobody) {
  EXPECT_EQ(outcome({}), "one");
  EXPECT_EQ(outcome({{"RANK", ""}, {"MASTER_ADDR", "a"}}), "one");
  EXPECT_EQ(outcome({{"RANK", "0"}, {"WORLD_SIZE", "1"}}), "one");
  EXPECT_EQ(
      outcome(with(kSlurm,
                   {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}})),
      "one");
  // The script of a job of 8 tasks, without srun: it runs once.
  EXPECT_EQ(outcome(without(kSlurm, {"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"})), "one");
}

TEST(Rendezvous, ErrorsNameTheVariables) {
  using testing::AllOf, testing::HasSubstr;
  for (const Variables& whole : {kTorchrun, kSlurm, with(kOpenMpi, {{"MASTER_ADDR", "a"}})}) {
    for (const auto& [name, value] : whole) {
      if (name.find("RANK") == std::string::npos && name.find("SIZE") == std::string::npos &&
          name.find("PROCID") == std::string::npos && name.find("STEP_NUM") == std::string::npos &&
          name.find("LOCALID") == std::string::npos && name.find("PORT") == std::string::npos) {
        continue;
      }
      for (const char* wrong : {"-1", "x", "2x", "1e9", "99999999999999999999"}) {
        EXPECT_THAT(outcome(with(whole, {{name, wrong}})),
                    AllOf(HasSubstr(name), HasSubstr(wrong)));
      }
    }
  }
  EXPECT_THAT(outcome(without(kTorchrun, {"RANK"})), HasSubstr("WORLD_SIZE is set, but not RANK"));
  EXPECT_THAT(outcome(without(kTorchrun, {"WORLD_SIZE"})),
              HasSubstr("RANK is set, but not WORLD_SIZE"));
  EXPECT_THAT(outcome(without(kTorchrun, {"MASTER_PORT"})), HasSubstr("MASTER_PORT is not set"));
  EXPECT_THAT(outcome(without(kTorchrun, {"MASTER_ADDR"})), HasSubstr("MASTER_ADDR is not set"));
  EXPECT_THAT(outcome(with(kTorchrun, {{"RANK", "4"}})), HasSubstr("RANK=4 and WORLD_SIZE=4"));
  EXPECT_THAT(outcome(with(kTorchrun, {{"LOCAL_RANK", "2"}})), HasSubstr("LOCAL_RANK=2"));
  EXPECT_THAT(outcome(with(kTorchrun, {{"LOCAL_WORLD_SIZE", "5"}})),
              HasSubstr("LOCAL_WORLD_SIZE=5"));
  EXPECT_THAT(outcome(kOpenMpi), HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(outcome(with(kSlurm, {{"SLURM_PROCID", "6"}})), HasSubstr("SLURM_PROCID=6"));
  EXPECT_THAT(outcome(with(kSlurm, {{"SLURM_JOB_NODELIST", "n[07"}})), HasSubstr("'n[07'"));
}

TEST(Rendezvous, FirstNodeOfAList) {
  for (const auto& [list, node] :
       std::map<std::string, std::string>{{"node[03-07,9]", "node03"},
                                          {"node[9,03-07],gpu1", "node9"},
                                          {"gpu1,node[03-07]", "gpu1"},
                                          {"host", "host"},
                                          {"rack[1-2]n[01-02]", "rack1n01"},
                                          {"a-b.example.org,c", "a-b.example.org"},
                                          {"n[5]-ib", "n5-ib"}}) {
    EXPECT_EQ(first_node(list), node);
  }
  for (const char* broken : {"", ",a", "n[", "n[]", "n[1-2", "n]1[", "n[,1]", "n[-2]"}) {
    EXPECT_THROW(first_node(broken), Error) << broken;
  }
}

}  // namespace
}  // namespace asmlp::dist::rendezvous_test
