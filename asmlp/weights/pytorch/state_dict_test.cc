// Where in a checkpoint the model is, whole pickled models, and objects of every kind beside it.
#include <nlohmann/json.hpp>

#include "asmlp/weights/pytorch/pth.h"
#include "tests/support/pickles.h"
#include "tests/support/weight_files.h"

namespace asmlp::state_dict_test {
namespace {

using namespace test::pickles;  // NOLINT: the words that pickles are written with
using test::as_bytes;
using test::error_of;
using test::expect_words;

PthFile parse(const std::string& object) { return parse_pth(as_bytes(legacy(object)), "file.pth"); }
std::string notes(const PthFile& file) { return fmt::format("{}", fmt::join(file.notes, "\n")); }

// A tensor of one element, the k-th.
std::string element(int k) { return tensor(kStorage, integer(k), {integer(1)}, {integer(1)}); }
std::string object(const std::string& module, const std::string& name, const std::string& state) {
  return cat(global(module, name), ")\x81", state, "b");
}
float first(const PthFile& file, const std::string& name = "w") {
  return to_f32(file.tensors.at(name)).at(0);
}

TEST(StateDicts, AreFoundUnderTheNamesThatTrainersUse) {
  const std::string own = dict({{"w", element(2)}});
  for (const char* key :
       {"state_dict", "model_state_dict", "model", "net", "network", "params", "module", "weights",
        "state_dict_ema", "model_ema", "ema", "params_ema"}) {
    EXPECT_EQ(first(parse(dict({{"epoch", integer(3)}, {key, own}}))), 3) << key;
    EXPECT_EQ(first(parse(dict({{"loss", element(0)}, {key, own}}))), 3) << key;
    EXPECT_EQ(first(parse(dict({{"outer", "N"}, {"model", dict({{key, own}})}}))), 3) << key;
  }
  // Averaged weights come first, and a note says so.
  const PthFile both = parse(dict(
      {{"model", dict({{"w", element(0)}})}, {"ema", dict({{"decay", "N"}, {"shadow", own}})}}));
  EXPECT_EQ(first(both), 3);
  expect_words(notes(both), {"'ema'", "'model'"});
  // mmengine has them the other way round.
  const PthFile swapped = parse(dict(
      {{"state_dict", own}, {"message_hub", "}"}, {"ema_state_dict", dict({{"w", element(0)}})}}));
  EXPECT_EQ(first(swapped), 3);
  expect_words(notes(swapped), {"mmengine"});
  // Under a name that nobody knows, if it is an AS-MLP's.
  const PthFile other = parse(
      dict({{"params", dict({{"x", element(0)}})},
            {"mine", dict({{"deep", dict({{"net.patch_embed.proj.weight", element(2)}})}})}}));
  EXPECT_EQ(first(other, "net.patch_embed.proj.weight"), 3);
  expect_words(notes(other), {"'mine.deep'"});
  expect_words(error_of(ErrorCode::kBadFormat,
                        [] {
                          parse(dict({{"epoch", integer(3)}, {"history", cat("]", kTensor, "a")}}));
                        }),
               {"no state dict", "'epoch', 'history'", "state_dict()"});
}

TEST(StateDicts, OfWholeModelsNeedNoCode) {
  const auto module = [](const std::string& name, const std::string& parameters,
                         const std::string& modules, const std::string& more = "") {
    return object("models.net", name,
                  cat("}(", text("_parameters"), parameters, text("_buffers"), "}",
                      text("_modules"), modules, more, "u"));
  };
  const std::string parameter =
      call(global("torch._utils", "_rebuild_parameter"), {element(4), "\x88", "}"});
  const std::string shift = module("Shift", dict({{"bias", parameter}, {"none", "N"}}), "}",
                                   cat(text("shift_size"), integer(7)));
  const std::string model =
      module("Net", dict({{"w", element(1)}}), dict({{"axial_shift", shift}, {"none", "N"}}));
  for (const std::string& file : {model, dict({{"model", model}, {"epoch", integer(1)}})}) {
    const PthFile read = parse(file);
    ASSERT_EQ(read.tensors.size(), 2u);
    EXPECT_EQ(first(read), 2);
    EXPECT_EQ(first(read, "axial_shift.bias"), 5);
    EXPECT_EQ(nlohmann::json::parse(read.config_json)["shift_size"], 7);
    expect_words(notes(read), {"whole pickled model", "models.net.Net"});
  }
  // The format before 1.6 names classes with their source.
  const std::string persistent =
      cat(tuple({text("module"), global("models.net", "Net"), text("net.py"), text("class Net")}),
          "Q)\x81", dict({{"_parameters", dict({{"w", element(1)}})}, {"_modules", "}"}}), "b");
  EXPECT_EQ(first(parse(persistent)), 2);
  // Modules inside themselves.
  const std::string endless = cat(global("models.net", "Net"), ")\x81q\x05",
                                  dict({{"_parameters", dict({{"w", element(0)}})},
                                        {"_modules", dict({{"a", "h\x05"}, {"b", "h\x05"}})}}),
                                  "b");
  expect_words(error_of(ErrorCode::kBadFormat, [&] { parse(endless); }), {"without end"});
}

TEST(StateDicts, OfTorchScriptAreTheAttributes) {
  const auto storage_of = [](const char* key) {
    return tensor(storage("FloatStorage", key, integer(1)), integer(0), {integer(1)}, {integer(1)});
  };
  const std::string inner = object("__torch__.m", "Inner", dict({{"bias", storage_of("1")}}));
  const std::string root = object(
      "__torch__", "Net", dict({{"training", "\x89"}, {"w", storage_of("0")}, {"inner", inner}}));
  const std::string file = zip({{"m/data.pkl", pickle(root)},
                                {"m/constants.pkl", pickle(")")},
                                {"m/data/0", raw(1.5f)},
                                {"m/data/1", raw(2.5f)}});
  const PthFile read = parse_pth(as_bytes(file), "file.pt");
  EXPECT_EQ(read.tensors.size(), 2u);
  EXPECT_EQ(first(read), 1.5f);
  EXPECT_EQ(first(read, "inner.bias"), 2.5f);
  expect_words(notes(read), {"TorchScript"});
  const std::string frozen = zip(
      {{"m/data.pkl", pickle(object("__torch__", "Net", "}"))}, {"m/constants.pkl", pickle(")")}});
  expect_words(error_of(ErrorCode::kBadFormat, [&] { parse_pth(as_bytes(frozen), "file.pt"); }),
               {"TorchScript", "state dict"});
}

// Written by LibTorch 1.13: torch::save(module) and torch::pickle_save(Dict).
TEST(StateDicts, OfLibTorch) {
  const PthFile module = read_pth(test::data("checkpoints/libtorch_module.pt"));
  EXPECT_EQ(module.tensors.size(), 3u);
  EXPECT_EQ(to_f32(module.tensors.at("inner.bias")), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(module.tensors.at("inner.count").dtype, DType::kI64);
  EXPECT_EQ(module.tensors.at("w").shape, (Shape{2, 3}));
  const PthFile dict = read_pth(test::data("checkpoints/libtorch_dict.pt"));
  EXPECT_EQ(dict.tensors.size(), 2u);
  EXPECT_EQ(dict.tensors.at("model.w").shape, (Shape{4, 2}));  // a view with strides
  EXPECT_EQ(dict.tensors.at("bf").dtype, DType::kBF16);
}

TEST(StateDicts, SayWhatAWeightIsStoredAs) {
  const auto refuse = [](const std::string& weight, const char* word) {
    expect_words(error_of(ErrorCode::kUnsupported,
                          [&] {
                            parse(dict({{"w", kTensor}, {"head.weight", weight}}));
                          }),
                 {"'head.weight'", word});
  };
  refuse(call(global("torch._utils", "_rebuild_qtensor"), {kStorage}), "quantized");
  refuse(call(global("torch._utils", "_rebuild_sparse_tensor"), {"N"}), "sparse");
  refuse(call(global("numpy.core.multiarray", "_reconstruct"), {"N"}), "NumPy");
  refuse(call(global("my.lib", "Wrapped"), {kTensor}), "my.lib.Wrapped");
  // Elsewhere they are of no interest.
  EXPECT_EQ(parse(dict({{"model", dict({{"w", kTensor}})},
                        {"optimizer", call(global("torch._utils", "_rebuild_qtensor"), {"N"})}}))
                .tensors.size(),
            1u);
}

// Objects of the user's own classes are data, whatever they look like; nothing is called.
TEST(StateDicts, StandAmongObjectsOfAnyKind) {
  const std::string slots = object("my.mod", "Slots", tuple({"N", dict({{"lr", integer(1)}})}));
  const std::string list = cat(global("my.mod", "List"), ")\x81(", integer(1), "e}b");
  const std::string own_dict =
      cat(global("my.mod", "Dict"), ")\x81(", text("a"), integer(1), "u}b");
  const std::string member =
      call(call(global("builtins", "getattr"), {global("my.mod", "Outer"), text("Inner")}),
           {integer(1)});
  const std::string old = cat(call(global("copy_reg", "_reconstructor"),
                                   {global("my.mod", "Old"), global("__builtin__", "object"), "N"}),
                              dict({{"lr", integer(2)}}), "b");
  const std::string named = cat(global("my.mod", "Named"), ")}\x92");
  for (const std::string& value :
       {slots,
        list,
        own_dict,
        member,
        old,
        named,
        call(global("my.mod", "f"), {integer(1)}),
        cat("(", integer(1), "\x91"),
        cat("\x8f(", integer(1), "\x90"),
        cat("C", "\x02", "ab"),
        cat("B", raw(uint32_t{1}), "a"),
        cat("\x8e", raw(uint64_t{1}), "a"),
        cat("\x96", raw(uint64_t{1}), "a"),
        cat("\x8b", raw(int32_t{3}), "abc"),
        std::string("I7\nI01\n\x86"),
        std::string("L9L\nF0.5\n\x86"),
        std::string("V\xc3\xa4\nS'x'\n\x86p0\n0g0\n"),
        std::string("(lp1\n2\x86"),
        std::string("(1(d"),
        call(global("collections", "Counter"), {dict({{"a", integer(3)}})}),
        cat(call(global("collections", "deque"), {")", integer(5)}), "(", integer(1), "e"),
        call(global("builtins", "range"), {integer(0), integer(9), integer(1)}),
        call(global("builtins", "ValueError"), {text("x")})}) {
    const PthFile file = parse(dict({{"model", dict({{"w", kTensor}})}, {"x", value}}));
    EXPECT_EQ(file.tensors.size(), 1u);
  }
  const auto config = [](const std::string& value) {
    return nlohmann::json::parse(parse(dict({{"w", kTensor}, {"args", value}})).config_json)["lr"];
  };
  EXPECT_EQ(config(slots), 1);
  EXPECT_EQ(config(old), 2);
}

TEST(ClassNames, OfOtherProjects) {
  const auto names = [](const std::vector<std::pair<std::string, std::string>>& entries) {
    std::vector<std::pair<std::string, std::string>> all{{"state_dict", dict({{"w", kTensor}})}};
    all.insert(all.end(), entries.begin(), entries.end());
    return parse(dict(all)).classes;
  };
  using List = std::vector<std::string>;
  const std::string pair = tuple({text("cat"), text("dog")});
  const std::string colors = cat("](](", integer(1), integer(2), integer(3), "e](", integer(4),
                                 integer(5), integer(255), "ee");
  const ClassNames old = names({{"meta", dict({{"CLASSES", pair}, {"PALETTE", colors}})}});
  EXPECT_EQ(old.names, (List{"cat", "dog"}));
  EXPECT_EQ(old.palette, (std::vector<PaletteColor>{{1, 2, 3}, {4, 5, 255}}));
  EXPECT_EQ(old.place, "meta.CLASSES");
  const std::string meta = dict({{"classes", pair}, {"palette", colors}});
  EXPECT_EQ(names({{"meta", dict({{"dataset_meta", meta}})}}).palette.size(), 2u);
  EXPECT_EQ(names({{"meta", dict({{"CLASSES", text("person")}})}}).names, List{"person"});
  EXPECT_EQ(names({{"class_to_idx", dict({{"dog", integer(1)}, {"cat", integer(0)}})}}).names,
            (List{"cat", "dog"}));
  EXPECT_EQ(
      names({{"id2label", cat("}(", integer(1), text("dog"), integer(0), text("cat"), "u")}}).names,
      (List{"cat", "dog"}));
  EXPECT_EQ(names({{"args", object("argparse", "Namespace", dict({{"class_names", pair}}))}}).names,
            (List{"cat", "dog"}));
  // No names: an index twice, a hole, numbers.
  EXPECT_TRUE(
      names({{"class_to_idx", dict({{"a", integer(0)}, {"b", integer(0)}})}}).names.empty());
  EXPECT_TRUE(
      names({{"class_to_idx", dict({{"a", integer(0)}, {"b", integer(2)}})}}).names.empty());
  EXPECT_TRUE(names({{"classes", integer(80)}}).names.empty());
  EXPECT_TRUE(names({{"classes", tuple({integer(1)})}}).names.empty());

  EXPECT_EQ(class_names_of(std::map<std::string, std::string>{{"classes", R"(["a", "b"])"}}).names,
            (List{"a", "b"}));
  EXPECT_EQ(class_names_of(nlohmann::json::parse(R"({"id2label": {"1": "b", "0": "a"}})")).names,
            (List{"a", "b"}));
}

}  // namespace
}  // namespace asmlp::state_dict_test
