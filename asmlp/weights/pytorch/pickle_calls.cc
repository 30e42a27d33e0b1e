// What the calls in a pickle stand for. Nothing is called.
#include <algorithm>

#include "asmlp/weights/pytorch/pickle_globals.h"
#include "asmlp/weights/pytorch/pickle_machine.h"

namespace asmlp {

// ("storage", type, key, location, elements[, view]), or, of a whole module in the format before
// 1.6, ("module", class, file, source), which is the class.
void PickleMachine::push_persistent() {
  const PickleRef id = pop();
  const auto is_tag = [&](std::string_view tag) {
    const PickleValue& tuple = value(id);
    if (tuple.kind != PickleKind::kTuple || tuple.items.size() < 2) return false;
    const PickleValue& first = value(tuple.items[0]);
    return first.kind == PickleKind::kText && first.text == tag;
  };
  if (is_tag("module")) {
    stack_.push_back(value(id).items[1]);
    return;
  }
  check(is_tag("storage"), "an unknown persistent id");
  check(value(id).items.size() == 5 || value(id).items.size() == 6, "an unknown persistent id");
  push(PickleKind::kStorage).items = {id};
}

void PickleMachine::refuse_call(const std::string& name) const {
  std::string dotted = name.substr(0, 200);
  std::replace(dotted.begin(), dotted.end(), ' ', '.');
  fail(ErrorCode::kBadFormat,
       "{}: refused: it wants to call {}, which a checkpoint does not need. Nothing was executed. "
       "If you trust the file, open it in Python and keep the weights only: "
       "torch.save(torch.load(f)['model'], g)",
       what_, dotted);
}

void PickleMachine::call(PickleRef function, PickleRef arguments) {
  const PickleKind callee = value(function).kind;
  if (callee == PickleKind::kInstance || callee == PickleKind::kOpaque) {
    return push_object(PickleKind::kInstance, function);  // a class inside a class, a bound method
  }
  check(callee == PickleKind::kGlobal, "a call of something that is no name");
  check(value(arguments).kind == PickleKind::kTuple, "a call without arguments");
  const std::string name = pickle_.global_name(value(function));
  const auto& items = value(arguments).items;
  switch (role_of_global(name)) {
    case GlobalRole::kMapping:
      return call_mapping(std::vector<PickleRef>(items));
    case GlobalRole::kList: {
      push(PickleKind::kList);
      return;
    }
    case GlobalRole::kInstance:
      return push_object(PickleKind::kInstance, function);
    case GlobalRole::kOpaque:
      return push_object(PickleKind::kOpaque, function);
    case GlobalRole::kFirstArgument:
      check(!items.empty(), "a call without arguments");
      stack_.push_back(items[0]);
      return;
    case GlobalRole::kReconstructor: {  // (class, base, state): how the protocols 0 and 1 did it
      check(!items.empty(), "a call without arguments");
      const PickleRef cls = items[0];
      check(value(cls).kind != PickleKind::kGlobal ||
                role_of_global(pickle_.global_name(value(cls))) != GlobalRole::kReconstructor,
            "a call that makes itself");
      push(PickleKind::kTuple);
      return call(cls, pop());
    }
    case GlobalRole::kAttribute:
      return call_getattr(function, std::vector<PickleRef>(items));
    case GlobalRole::kTensor:
      check(items.size() >= 4, "a tensor without its description");
      push(PickleKind::kTensor).items = {arguments, function};
      return;
    case GlobalRole::kTensorSubclass: {
      check(items.size() >= 3 && value(items[0]).kind == PickleKind::kGlobal &&
                pickle_.global_name(value(items[0])) != name,
            "a tensor without its description");
      return call(items[0], items[2]);
    }
    case GlobalRole::kRefused:
      break;
  }
  refuse_call(name);
}

void PickleMachine::call_mapping(const std::vector<PickleRef>& arguments) {
  push(PickleKind::kDict);
  if (arguments.empty()) return;
  // Counter({key: value}), or, as Python 2 wrote it, OrderedDict([[key, value], ...]).
  const PickleValue& source = value(arguments[0]);
  if (source.kind != PickleKind::kList && source.kind != PickleKind::kDict) return;
  // A shared list may be copied again and again: the copies count as values.
  copied_ += source.items.size();
  check(copied_ <= kMaxPickleValues, "too many values");
  if (source.kind == PickleKind::kDict) {
    return append(PickleKind::kDict, std::vector<PickleRef>(source.items));
  }
  std::vector<PickleRef> entries;
  for (PickleRef ref : source.items) {
    const PickleValue& pair = value(ref);
    const bool is_pair = pair.kind == PickleKind::kTuple || pair.kind == PickleKind::kList;
    check(is_pair && pair.items.size() == 2, "a dict of no pairs");
    entries.insert(entries.end(), pair.items.begin(), pair.items.end());
  }
  append(PickleKind::kDict, entries);
}

// getattr(class, "name"): how Python writes a member of an enum, a class inside a class, a method.
void PickleMachine::call_getattr(PickleRef function, const std::vector<PickleRef>& arguments) {
  const std::string name = pickle_.global_name(value(function));
  if (arguments.size() < 2 || value(arguments[1]).kind != PickleKind::kText) refuse_call(name);
  const PickleValue& object = value(arguments[0]);
  const bool inert = object.kind == PickleKind::kInstance || object.kind == PickleKind::kOpaque ||
                     (object.kind == PickleKind::kGlobal &&
                      role_of_global(pickle_.global_name(object)) != GlobalRole::kRefused);
  if (!inert) refuse_call(name);
  push_object(PickleKind::kOpaque, function);
}

void PickleMachine::build() {
  const PickleRef state = pop();
  PickleValue& object = value(top());
  check(object.kind == PickleKind::kDict || object.kind == PickleKind::kList ||
            object.kind == PickleKind::kInstance || object.kind == PickleKind::kOpaque ||
            object.kind == PickleKind::kTensor,
        "state for a plain value");
  if (object.kind == PickleKind::kInstance) object.items.assign(1, state);
}

}  // namespace asmlp
