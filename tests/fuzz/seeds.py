#!/usr/bin/python3
"""Writes seeds for the fuzzers that read the schema's messages, from the schema itself.

usage: seeds.py BUILD_FOLDER

One message of every type with all of its fields filled, as another protobuf implementation encodes
them, for ipc-schema/envelope; said by everybody who may say it, for broker/dispatch and
tests/refusal/router; and for tools/commands. Run it after the schema has grown; libFuzzer's own finds
stay beside them.
"""
import hashlib
import os
import struct
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "ipc-schema"))
sys.dont_write_bytecode = True
import generate_routes  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402

FLAG_ANSWER, FLAG_CONSENT = 1, 2  # of broker/dispatch_fuzz.c
# Who speaks in tests/refusal/router_fuzz.c, by the first byte.
ROUTER = {"VAULT": [0], "CAPTURE": [1], "UPLINK": [2], "RESOLVER": [3], "RUNNER": [4], "TICKET": [5, 6],
          "ADMIN": [7]}


class Messages:
    """The schema's messages, filled."""

    def __init__(self, descriptor):
        with open(descriptor, "rb") as f:
            files = descriptor_pb2.FileDescriptorSet.FromString(f.read()).file
        self.pool = descriptor_pool.DescriptorPool()
        for file in files:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)
        options = self.pool.FindMessageTypeByName("google.protobuf.FieldOptions")
        self.options_class = self.factory.GetPrototype(options)
        self.nanopb = self.pool.FindExtensionByName("nanopb")
        self.factory.GetPrototype(self.nanopb.message_type)
        self.options_class.RegisterExtension(self.nanopb)

    def limit(self, field):
        raw = self.options_class.FromString(field.GetOptions().SerializeToString())
        return raw.Extensions[self.nanopb]

    def value(self, field):
        limits = self.limit(field)
        if field.type == field.TYPE_BYTES:
            return bytes(range(1, 1 + limits.max_size))
        if field.type == field.TYPE_STRING:
            return field.name[:limits.max_size - 1]
        if field.type == field.TYPE_BOOL:
            return True
        if field.type == field.TYPE_ENUM:
            return field.enum_type.values[-1].number
        return 1 << 40 if field.type == field.TYPE_UINT64 else 300

    def fill(self, message, only=None):
        for field in message.DESCRIPTOR.fields:
            if field.containing_oneof and field.name != only:
                continue
            if field.type == field.TYPE_MESSAGE:
                part = getattr(message, field.name)
                self.fill(part.add() if field.label == field.LABEL_REPEATED else part)
            elif field.label == field.LABEL_REPEATED:
                getattr(message, field.name).append(self.value(field))
            else:
                setattr(message, field.name, self.value(field))
        return message

    def bodies(self, name):
        """(suffix, body): one, or one for each part of a oneof."""
        made = self.factory.GetPrototype(self.pool.FindMessageTypeByName(f"ipc.{name}"))
        oneofs = [f.name for o in made.DESCRIPTOR.oneofs for f in o.fields]
        for only in oneofs or [None]:
            yield f"-{only}" if only else "", self.fill(made(), only).SerializeToString()


def envelope(number, request, body, blob=b""):
    return struct.pack("<HHIIIII", number, generate_routes.VERSION, request, 0, 0, len(body),
                       len(blob)) + body + blob


def corpus(*path):
    """The folder, without the seeds of an earlier schema."""
    folder = os.path.join(SOURCE, *path)
    os.makedirs(folder, exist_ok=True)
    for file in os.listdir(folder):
        if file.startswith("ipc-"):
            os.unlink(os.path.join(folder, file))
    return folder


def write(folder, name, content):
    with open(os.path.join(folder, f"ipc-{name}"), "wb") as f:
        f.write(content)


def blob_of(t):
    return bytes(range(64)) if t.route.max_bytes else b""


def spoken(schema, t):
    """(peer number, phase number) of everybody who may say it."""
    return [(p, f) for p in getattr(t.route, "from") for f in t.route.phase]


def dispatch_step(peer, phase, flags, message):
    return bytes([peer | phase << 4, 1, flags]) + struct.pack("<H", len(message)) + message


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    descriptor = os.path.join(sys.argv[1], "ipc-schema", "generated", "cloister.descriptor")
    schema, messages = generate_routes.Schema(descriptor), Messages(descriptor)
    by_name = {t.name: t for t in schema.types}
    asked = {a for t in schema.types for a in t.route.answers}
    for suffix, body in messages.bodies("CommandStatusReply"): # then two more of everything in it
        write(corpus("tools", "corpus", "commands"), f"twice{suffix}",
              struct.pack("<H", len(body)) + body * 3)
    envelopes = corpus("ipc-schema", "corpus", "envelope")
    dispatch = corpus("broker", "corpus", "dispatch")
    router = corpus("tests", "refusal", "corpus", "router")
    phases = {name: number for number, name in schema.phases.items()}

    def body_of(t):
        return next(messages.bodies(t.name))[1]

    for t in schema.types:
        request = 1 if t.name in asked or t.route.answers else 0
        for suffix, body in messages.bodies(t.name):
            write(envelopes, t.upper.lower() + suffix, envelope(t.number, request, body, blob_of(t)))
        message = envelope(t.number, request, body_of(t), blob_of(t))
        steps = b""
        for question in (by_name[a] for a in t.route.answers if a != "*"):
            for peer, phase in spoken(schema, question)[:1]:
                steps += dispatch_step(peer, phase, 0, envelope(question.number, 5, body_of(question),
                                                                blob_of(question)))
        for peer, phase in spoken(schema, t):
            flags = FLAG_ANSWER if t.route.answers else FLAG_CONSENT
            steps += dispatch_step(peer, phase, flags, message)
        write(dispatch, t.upper.lower(), steps)
        for peer, phase in spoken(schema, t):
            for index, speaker in enumerate(ROUTER.get(schema.peers[peer], [])):
                serving = (phases["REVIEW"], phases["CONSENTED"])[index] \
                    if schema.peers[peer] == "TICKET" else phases["SERVE"]
                if phase == serving:
                    write(router, f"{t.upper.lower()}-{speaker}", bytes([speaker]) + message)
    # A consent that holds together, and the first chunk of what it names (all zero bytes).
    whole_consent(messages, by_name, phases, schema, dispatch)


def whole_consent(messages, by_name, phases, schema, folder):
    said, chunk = by_name["Consent"], by_name["BundleChunk"]
    ticket = next(n for n, name in schema.peers.items() if name == "TICKET")
    bundle = bytes(100)
    digests = hashlib.sha256(bundle).digest()
    make = messages.factory.GetPrototype(messages.pool.FindMessageTypeByName("ipc.Consent"))
    body = make(ticket=bytes(16), digest=hashlib.sha256(digests).digest(), size=len(bundle),
                recipients_digest=bytes(range(32))).SerializeToString()
    write(folder, "consent-kept",
          dispatch_step(ticket, phases["REVIEW"], 0, envelope(said.number, 1, body, digests)) +
          dispatch_step(ticket, phases["CONSENTED"], 0, envelope(chunk.number, 2, b"", bundle)))


if __name__ == "__main__":
    main()
