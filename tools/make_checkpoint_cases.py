#!/usr/bin/env python3
"""Writes three of the files of tests/data/checkpoints: Python's own pickler, without PyTorch.

usage: tools/make_checkpoint_cases.py [FOLDER]

The weights are those of FOLDER/module_prefix.safetensors. Modules named torch, yacs, ... are stand-ins
whose objects pickle to the names that the real ones have; numpy must be installed.

  whole_module.pth     torch.save(DataParallel(model)): nn.Modules inside one another
  inert_objects.pth    protocol 5: a state dict among objects of the standard library, numpy, argparse,
                       pathlib, enums, a user's own classes, dicts and lists
  averaged_legacy.pth  the format before 1.6, protocol 4: an AveragedModel under model_ema beside other weights
"""

import argparse
import collections
import datetime
import enum
import functools
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy

MAGIC = 0x1950A86A20F9469CFC6C


def stand_in(module, name, base=object, **fields):
    """A class that pickles as module.name."""
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[:i + 1])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
    cls = type(name, (base,), {"__module__": module, **fields})
    setattr(sys.modules[module], name, cls)
    return cls


def function(module, name):
    """A function that pickles as module.name."""
    stand_in(module, name)
    def called(*arguments):
        raise AssertionError("only its name is pickled")
    called.__module__, called.__name__, called.__qualname__ = module, name, name
    setattr(sys.modules[module], name, called)
    return called


REBUILD = function("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = function("torch._utils", "_rebuild_parameter")
FLOAT = stand_in("torch", "FloatStorage")


class Storage:
    def __init__(self, key, data):
        self.key, self.data = key, data


class Tensor:
    """A float tensor over a storage of its own."""

    def __init__(self, key, shape, data):
        self.storage, self.shape = Storage(key, data), shape

    def __reduce__(self):
        strides, step = [], 1
        for extent in reversed(self.shape):
            strides.insert(0, step)
            step *= extent
        return REBUILD, (self.storage, 0, tuple(self.shape), tuple(strides), False, collections.OrderedDict())


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return REBUILD_PARAMETER, (self.tensor, True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol, storages):
        super().__init__(file, protocol)
        self.storages = storages

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.storages[obj.key] = obj
        return ("storage", FLOAT, obj.key, "cpu", len(obj.data) // 4)


def dump(obj, protocol, storages):
    out = io.BytesIO()
    Pickler(out, protocol, storages).dump(obj)
    return out.getvalue()


def save_zip(path, obj, protocol):
    storages = {}
    data = dump(obj, protocol, storages)
    with zipfile.ZipFile(path, "w") as archive:
        def add(name, content):
            archive.writestr(zipfile.ZipInfo("archive/" + name), content)
        add("data.pkl", data)
        add("byteorder", "little")
        for key, storage in storages.items():
            add("data/" + key, storage.data)
        add("version", "3\n")


def save_legacy(path, obj, protocol):
    storages = {}
    data = dump(obj, protocol, storages)
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    with open(path, "wb") as out:
        for head in (MAGIC, 1001, system):
            pickle.dump(head, out, protocol)
        out.write(data)
        keys = sorted(storages)
        pickle.dump(keys, out, protocol)
        for key in keys:
            out.write(struct.pack("<q", len(storages[key].data) // 4) + storages[key].data)


def read_weights(path):
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name.removeprefix("module.")] = (entry["shape"], content[begin:end])
    return tensors


def as_dict(weights, prefix=""):
    return collections.OrderedDict(
        (prefix + name, Tensor(str(i), shape, data)) for i, (name, (shape, data)) in enumerate(weights.items()))


def as_modules(weights):
    """The tree of nn.Modules that these names come from."""
    module = stand_in("torch.nn.modules.container", "Sequential")
    shift = stand_in("models.as_mlp", "AxialShift")
    root_class = stand_in("models.as_mlp", "AS_MLP")

    def build(names, path):
        cls = shift if path.endswith("axial_shift") else root_class if not path else module
        made = cls()
        made.__dict__.update(training=False, _parameters=collections.OrderedDict(),
                             _buffers=collections.OrderedDict(), _non_persistent_buffers_set=set(),
                             _forward_hooks=collections.OrderedDict(), _modules=collections.OrderedDict())
        if cls is shift:
            made.__dict__.update(shift_size=5, dim=8)
        children = collections.OrderedDict()
        for name, tensor in names.items():
            head, _, rest = name.partition(".")
            if rest:
                children.setdefault(head, collections.OrderedDict())[rest] = tensor
            else:
                made._parameters[head] = Parameter(tensor)
        for head, below in children.items():
            made._modules[head] = build(below, f"{path}.{head}" if path else head)
        return made

    root = build(as_dict(weights), "")
    parallel = stand_in("torch.nn.parallel.data_parallel", "DataParallel")()
    parallel.__dict__.update(_parameters=collections.OrderedDict(), _buffers=collections.OrderedDict(),
                             _modules=collections.OrderedDict(module=root), device_ids=[0], dim=0)
    return parallel


def inert_objects():
    class Color(enum.Enum):
        RED = 1
    Color.__module__, Color.__qualname__ = "my.project", "Color"
    stand_in("my.project", "Thing")
    sys.modules["my.project"].Color = Color
    thing = sys.modules["my.project"].Thing()
    thing.attributes = {"a": [1, 2, 3], "b": None}
    node = stand_in("yacs.config", "CfgNode", dict)
    config = node(MODEL=node(TYPE="asmlp", NAME="inert", ASMLP=node(SHIFT_SIZE=5)))
    config.__dict__["__immutable__"] = True
    slots = stand_in("my.project", "Slots", __slots__=("a", "b"))()
    slots.a, slots.b = 1, (2, 3)
    mine = stand_in("my.project", "MyDict", dict)(k=1)
    listed = stand_in("my.project", "MyList", list)([1, 2])
    listed.name = "list with attributes"
    size = stand_in("torch", "Size", tuple)((3, 4))
    history = stand_in("mmengine.logging.history_buffer", "HistoryBuffer")()
    history.__dict__.update(_log_history=numpy.arange(3.0), _count_history=numpy.arange(3), _max_length=1000000)
    return dict(
        config=config, thing=thing, slots=slots, mine=mine, listed=listed, size=size, history=history,
        color=Color.RED, namespace=argparse.Namespace(lr=0.1, milestones=[1, 2]),
        simple=types.SimpleNamespace(x=1), deque=collections.deque([1, 2, 3], maxlen=5), range=range(10),
        counter=collections.Counter("abracadabra"), default=collections.defaultdict(list, a=[1]),
        sets=[{1, 2}, frozenset("ab"), set()], blobs=[b"", b"\x00" * 300, bytearray(b"abc")],
        long_text="x" * 300, numbers=[1 << 40, -(1 << 70), 1 << 2100, 2.5, 3 + 4j, True, None, -1],
        slice=slice(1, 2, 3), when=datetime.datetime(2024, 2, 3, 4, 5, 6), span=datetime.timedelta(days=1),
        path=pathlib.PurePosixPath("a/b"), scalar=numpy.float64(0.5), array=numpy.eye(2), dtype=numpy.dtype("f4"),
        partial=functools.partial(int, base=2), error=ValueError("x"), type=collections.OrderedDict,
        ordered=collections.OrderedDict(a=1), nested=[[[[[()]]]]])


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/checkpoints")
    weights = read_weights(folder / "module_prefix.safetensors")
    save_zip(folder / "whole_module.pth", as_modules(weights), 2)
    objects = inert_objects()
    save_zip(folder / "inert_objects.pth", {**objects, "model": as_dict(weights)}, 5)
    small = {name: (shape, bytes(len(data))) for name, (shape, data) in list(weights.items())[:1]}
    averaged = collections.OrderedDict(n_averaged=Tensor("n", [], struct.pack("<f", 3)))
    averaged.update(as_dict(weights, "module._orig_mod."))
    other = {"z" + name: Tensor("z" + name, shape, data) for name, (shape, data) in small.items()}
    save_legacy(folder / "averaged_legacy.pth", {"model": other, "model_ema": averaged, "epoch": 3}, 4)


if __name__ == "__main__":
    main()
