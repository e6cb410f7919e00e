#!/usr/bin/python3
"""Turns the routes of cloister.proto into what enforces and describes them.

usage: generate_routes.py DESCRIPTOR_SET NANOPB_HEADER OUT_DIR

Reads `protoc --include_imports --descriptor_set_out` and writes into OUT_DIR:
  ipc_types.h    the type and peer enumerations, the size limits
  ipc_types.c    the constant routing table
  ipc_refused.h  every (sender, type, phase) cell that is not granted, for the refusal tests
  ipc-matrix.md  the table for people (sizes from the header that nanopb generated)
  ipc.dict       a dictionary for the fuzzers
A route that says too little (no quota, no size where it matters) is an error: silence is not policy.
"""
import hashlib
import os
import re
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPTION = "cloister.route"
VERSION = 1  # of the envelope; the schema itself is told apart by its digest


class Schema:
    """The messages with routes, in the order of their type numbers."""

    def __init__(self, path):
        with open(path, "rb") as f:
            raw = f.read()
        files = descriptor_pb2.FileDescriptorSet.FromString(raw)
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        extension = pool.FindExtensionByName(OPTION)
        options_class = factory.GetPrototype(pool.FindMessageTypeByName("google.protobuf.MessageOptions"))
        factory.GetPrototype(extension.message_type)
        options_class.RegisterExtension(extension)
        self.digest = hashlib.sha256(raw).digest()
        self.peers = enum_of(pool, "cloister.Peer")
        self.phases = enum_of(pool, "cloister.Phase")
        self.types = []
        numbered = {f.message_type.name: f.number
                    for f in pool.FindMessageTypeByName("ipc.Types").fields}
        messages = pool.FindFileByName("cloister.proto").message_types_by_name
        for name, message in messages.items():
            options = options_class.FromString(message.GetOptions().SerializeToString())
            routed = options.HasExtension(extension)
            if routed != (name in numbered):
                fail(f"{name}: has a route or a number in Types, but not both")
            if routed:
                self.types.append(Type(numbered[name], name, options.Extensions[extension]))
        self.types.sort(key=lambda t: t.number)
        self.check()

    def check(self):
        names = {t.name for t in self.types}
        for t in self.types:
            route = t.route
            if not (route.to and route.phase and getattr(route, "from")):
                fail(f"{t.name}: a route says from, to and phase")
            limits = [bool(route.answers), route.once, route.per_second > 0]
            if sum(limits) != 1:
                fail(f"{t.name}: exactly one of answers, once, per_second bounds a message")
            asked = not route.answers and "BROKER" not in [self.peers[p] for p in getattr(route, "from")]
            if asked and len(route.to) != 1:
                fail(f"{t.name}: what is not an answer goes to exactly one receiver")
            for request in route.answers:
                if request != "*" and request not in names:
                    fail(f"{t.name}: answers {request}, which is not sent")
            if not 0 < t.number < 256:
                fail(f"{t.name}: number {t.number} is not in 1..255")

    def granted(self, peer, t, phase):
        return peer in getattr(t.route, "from") and phase in t.route.phase


class Type:
    def __init__(self, number, name, route):
        self.number, self.name, self.route = number, name, route
        self.upper = "".join("_" + c if c.isupper() and i else c for i, c in enumerate(name)).upper()


def fail(text):
    sys.exit(f"generate_routes.py: cloister.proto: {text}")


def enum_of(pool, name):
    return {v.number: v.name for v in pool.FindEnumTypeByName(name).values if v.number}


def mask(numbers):
    return " | ".join(f"1u << {n}" for n in sorted(numbers)) or "0"


def phases_of(peer_name):
    """The phases that a channel of this peer can be in."""
    if peer_name == "TICKET":
        return ["START", "REVIEW", "CONSENTED", "CLOSED"]
    return ["START", "SERVE"]


def write_header(schema, out):
    lines = ["/* Generated from cloister.proto. */", "#ifndef CLOISTER_IPC_TYPES_H",
             "#define CLOISTER_IPC_TYPES_H", "", f"#define IPC_VERSION {VERSION}",
             f"#define IPC_TYPE_LIMIT {max(t.number for t in schema.types) + 1}", "", "enum ipc_peer {"]
    lines += [f"    IPC_PEER_{name} = {number}," for number, name in schema.peers.items()]
    lines += [f"    IPC_PEER_LIMIT = {max(schema.peers) + 1}", "};", "", "enum ipc_phase {"]
    lines += [f"    IPC_PHASE_{name} = {number}," for number, name in schema.phases.items()]
    lines += [f"    IPC_PHASE_LIMIT = {max(schema.phases) + 1}", "};", "", "enum ipc_type_number {"]
    lines += [f"    IPC_{t.upper} = {t.number}," for t in schema.types]
    lines += ["};", "", "#endif", ""]
    write(out, "ipc_types.h", lines)


def write_table(schema, out):
    lines = ["/* Generated from cloister.proto. */", '#include "route.h"', '#include "cloister.pb.h"', ""]
    digest = ", ".join(f"0x{b:02x}" for b in schema.digest)
    lines += [f"const uint8_t ipc_schema_digest[32] = {{{digest}}};", "",
              "const char *const ipc_peer_names[IPC_PEER_LIMIT] = {"]
    lines += [f'    [{n}] = "{name.lower()}",' for n, name in schema.peers.items()]
    lines += ["};", "", "const char *const ipc_phase_names[IPC_PHASE_LIMIT] = {"]
    lines += [f'    [{n}] = "{name.lower()}",' for n, name in schema.phases.items()]
    lines += ["};", ""]
    numbers = {t.name: t.number for t in schema.types}
    for t in schema.types:
        if t.route.answers and "*" not in t.route.answers:
            listed = ", ".join(str(numbers[a]) for a in t.route.answers)
            lines.append(f"static const uint16_t answers_{t.name}[] = {{{listed}}};")
    lines += ["", "const struct ipc_type ipc_types[IPC_TYPE_LIMIT] = {"]
    for t in schema.types:
        r = t.route
        lines += [f"    [IPC_{t.upper}] = {{", f'        .name = "{t.name}",',
                  f"        .fields = &ipc_{t.name}_msg,",
                  f"        .body_max = ipc_{t.name}_size,",
                  f"        .blob_max = {r.max_bytes},",
                  f"        .from = {mask(getattr(r, 'from'))},", f"        .to = {mask(r.to)},",
                  f"        .phases = {mask(r.phase)},", f"        .per_second = {r.per_second},",
                  f"        .once = {int(r.once)},", f"        .inspected = {int(r.inspected)},"]
        if "*" in r.answers:
            lines.append("        .answers_any = 1,")
        elif r.answers:
            lines += [f"        .answers = answers_{t.name},", f"        .answer_count = {len(r.answers)},"]
        lines.append("    },")
    lines += ["};", ""]
    write(out, "ipc_types.c", lines)


def write_refused(schema, out):
    """One line a cell: X(peer, phase, type). A type number without a message stands for all others."""
    lines = ["/* Generated from cloister.proto: what nobody may send. X(peer, phase, type) */"]
    count = 0
    by_name = {name: number for number, name in schema.phases.items()}
    for peer, peer_name in schema.peers.items():
        if peer_name == "BROKER":
            continue
        for phase_name in phases_of(peer_name):
            for t in schema.types:
                if not schema.granted(peer, t, by_name[phase_name]):
                    lines.append(f"X({peer_name}, {phase_name}, {t.upper})")
                    count += 1
    lines.insert(1, f"#define IPC_REFUSED_CELLS {count}")
    write(out, "ipc_refused.h", lines + [""])


def write_matrix(schema, sizes, out):
    lines = ["# Who may say what to whom", "",
             "Generated from `ipc-schema/cloister.proto`; a test compares it with the build. What is not",
             "listed is refused: the sender is killed (a worker) or disconnected (a user's program).", "",
             "| # | message | from | to | phase | body at most | blob at most | bound | answers |",
             "|---|---|---|---|---|---|---|---|---|"]
    name_of = lambda table, numbers: ", ".join(table[n].lower() for n in numbers)
    for t in schema.types:
        r = t.route
        bound = "once" if r.once else f"{r.per_second}/s" if r.per_second else "one an answer"
        answers = ", ".join("any request" if a == "*" else a for a in r.answers)
        if r.inspected:
            bound += ", content checked by the broker"
        lines.append(f"| {t.number} | {t.name} | {name_of(schema.peers, getattr(r, 'from'))} | "
                     f"{name_of(schema.peers, r.to)} | {name_of(schema.phases, r.phase)} | "
                     f"{sizes[t.name]} | {r.max_bytes or '-'} | {bound} | {answers or '-'} |")
    write(out, "ipc-matrix.md", lines + [""])


def write_dictionary(schema, out):
    lines = ["# Generated from cloister.proto, for libFuzzer and AFL."]
    for t in schema.types:
        head = t.number.to_bytes(2, "little") + VERSION.to_bytes(2, "little")
        lines.append(f'{t.upper.lower()}="' + "".join(f"\\x{b:02x}" for b in head) + '"')
    write(out, "ipc.dict", lines + [""])


def write(out, name, lines):
    with open(os.path.join(out, name), "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    schema, out = Schema(sys.argv[1]), sys.argv[3]
    with open(sys.argv[2], encoding="utf-8") as f:
        sizes = dict(re.findall(r"#define ipc_(\w+)_size +(\d+)", f.read()))
    for step in (write_header, write_table, write_refused, write_dictionary):
        step(schema, out)
    write_matrix(schema, sizes, out)


if __name__ == "__main__":
    main()
