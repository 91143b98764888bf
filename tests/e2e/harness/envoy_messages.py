"""Envoy's own protobuf messages in Python, from the descriptors inside its binary."""
import functools
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .edge import ROOT, envoy


@functools.cache
def _pool():
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        subprocess.run([sys.executable, str(ROOT / "tools" / "envoy-descriptors"), envoy(),
                        out.name], check=True, stdout=subprocess.DEVNULL)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool, waiting = descriptor_pool.DescriptorPool(), {f.name: f for f in files.file}

    def add(name):
        file = waiting.pop(name, None)
        if file is None:
            return
        for dependency in file.dependency:
            add(dependency)
        pool.Add(file)
    for name in list(waiting):
        add(name)
    return pool


@functools.cache
def message(name):
    """The class of a message by its full name."""
    return message_factory.MessageFactory(_pool()).GetPrototype(
        _pool().FindMessageTypeByName(name))
