#!/usr/bin/python3
"""Runs the fuzzers.

usage: fuzz.py BUILD_FOLDER [SECONDS] [NAME] [--jobs N] [--merge]

  SECONDS   how long each fuzzer runs (default 300; 0: only replays what is there)
  NAME      only those whose name (vault/key_file) contains it
  --jobs    processes at a time (default: the processors); where there are fewer fuzzers than that,
            each gets several, which share what they find
  --merge   afterwards, bring what reached new code into the committed corpus, minimised

Everything is written below BUILD_FOLDER/fuzzing/NAME: the grown corpus, logs, findings. Only --merge
writes into the source tree. Exit status: 0 nothing found, 1 findings, 2 wrong usage.
docs/fuzzing.md says what each fuzzer looks at.
"""
import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS_FILES, CORPUS_BYTES = 150, 60 * 1024  # of what was found, in one committed corpus
PROGRESS_S = 15
GRACE_S = 60  # for a last input, and for sanitizers to write their report
PULSE = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)", re.M)


class Fuzzer:
    """One harness: where it is, what it is fed, what its processes have said."""

    def __init__(self, build, program):
        relative = os.path.relpath(program, os.path.join(build, "fuzz"))
        self.name = relative[:-len("_fuzz")]
        self.program = program
        folder, unit = os.path.split(self.name)
        self.seeds = os.path.join(SOURCE, folder, "corpus", unit)
        self.work = os.path.join(build, "fuzzing", self.name)
        self.corpus = os.path.join(self.work, "corpus")
        self.findings = os.path.join(self.work, "findings")
        options = configparser.ConfigParser(interpolation=None)
        options.read(program + ".options")
        self.options = [f"-{k}={v}" for k, v in options["libfuzzer"].items()] \
            if options.has_section("libfuzzer") else []
        self.processes, self.logs, self.started = [], [], 0.0

    def folders(self):
        return [f for f in (self.corpus, self.seeds) if os.path.isdir(f)]

    def start(self, seconds, jobs):
        for folder in (self.corpus, self.findings):
            os.makedirs(folder, exist_ok=True)
        self.started = time.monotonic()
        # -runs=0 replays and ends; without a limit on time a fuzzer would go on for ever.
        limit = [f"-max_total_time={seconds}"] if seconds else ["-runs=0"]
        for job in range(jobs):
            log = os.path.join(self.work, f"log-{job}.txt")
            self.logs.append(log)
            with open(log, "wb") as out:
                self.processes.append(subprocess.Popen(
                    [self.program, *limit, "-print_final_stats=1", "-timeout=20", "-reload=5",
                     "-rss_limit_mb=2048", f"-artifact_prefix={self.findings}/", *self.options,
                     *self.folders()],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.work, env=environment()))

    def running(self, seconds):
        late = time.monotonic() - self.started > seconds + GRACE_S
        for process in self.processes:
            if late and process.poll() is None:
                process.kill()
                process.wait()
        return any(process.poll() is None for process in self.processes)

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def failed(self):
        return [log for log, process in zip(self.logs, self.processes) if process.returncode]

    def numbers(self):
        """Runs of all processes; edges covered, of how many; inputs in the corpus."""
        runs = edges = corpus = total = 0
        for log in self.logs:
            text = read(log)
            pulses = PULSE.findall(text)
            if pulses:
                runs += int(pulses[-1][0])
                edges = max(edges, max(int(p[1]) for p in pulses))
                corpus = max(corpus, int(pulses[-1][3]))
            loaded = re.search(r"\((\d+) inline 8-bit counters\)", text)
            total = int(loaded.group(1)) if loaded else total
        return runs, edges, total, corpus

    def report(self, log):
        """What a person needs to see of a failed process, and to run it again."""
        text = read(log)
        print(f"\n== {self.name}: finding", flush=True)
        start = re.search(r"^==\d+==\s?ERROR|^.*runtime error:|^==\d+== ERROR", text, re.M)
        print(text[start.start() if start else -4000:][:6000])
        artifact = re.search(r"Test unit written to (\S+)", text)
        if artifact:
            print(f"reproducer: {artifact.group(1)}\nrerun:      {self.program} {artifact.group(1)}")
        else:
            print(f"no reproducer; the whole log: {log}")


def environment():
    return dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
                ASAN_OPTIONS="abort_on_error=0:allocator_may_return_null=1:detect_stack_use_after_return=1")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def find(build, name):
    fuzzers = []
    for folder, _, files in os.walk(os.path.join(build, "fuzz")):
        for file in files:
            path = os.path.join(folder, file)
            if file.endswith("_fuzz") and os.access(path, os.X_OK):
                fuzzers.append(Fuzzer(build, path))
    return sorted((f for f in fuzzers if name in f.name), key=lambda f: f.name)


def show(fuzzer, seconds, what):
    runs, edges, total, corpus = fuzzer.numbers()
    gone = min(time.monotonic() - fuzzer.started, seconds)
    print(f"{fuzzer.name:32} {gone:5.0f} s  {runs:>11} runs  {edges:>5}/{total} edges  "
          f"{corpus:>5} inputs  {what}", flush=True)


def run_all(fuzzers, seconds, jobs):
    """Runs them, `jobs` processes at a time; returns those with findings."""
    waiting, active, bad = list(fuzzers), [], []
    each = max(1, jobs // len(fuzzers))
    told = time.monotonic()
    try:
        while waiting or active:
            while waiting and len(active) < max(1, jobs // each):
                fuzzer = waiting.pop(0)
                fuzzer.start(seconds, each)
                active.append(fuzzer)
            time.sleep(0.5)
            for fuzzer in [f for f in active if not f.running(seconds)]:
                active.remove(fuzzer)
                show(fuzzer, seconds, "FINDING" if fuzzer.failed() else "done")
                for log in fuzzer.failed():
                    fuzzer.report(log)
                bad += [fuzzer] if fuzzer.failed() else []
            if time.monotonic() - told > PROGRESS_S:
                told = time.monotonic()
                for fuzzer in active:
                    show(fuzzer, seconds, "")
    finally:
        for fuzzer in active:
            fuzzer.stop()
    return bad


def is_found(file):
    """Whether libFuzzer named it (by its SHA-1); the others are seeds, which always stay."""
    return re.fullmatch(r"[0-9a-f]{40}", file) is not None


def fits(folder):
    files = [f for f in os.listdir(folder) if is_found(f)]
    return len(files) <= CORPUS_FILES and \
        sum(os.path.getsize(os.path.join(folder, f)) for f in files) <= CORPUS_BYTES


def minimise(fuzzer, out, how):
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    os.makedirs(fuzzer.seeds, exist_ok=True)
    for file in os.listdir(fuzzer.seeds):
        if not is_found(file):
            shutil.copy(os.path.join(fuzzer.seeds, file), out)
    # Every process of it is a run over single inputs: what depends on earlier ones is not merged.
    subprocess.run([fuzzer.program, "-merge=1", *how, *fuzzer.options, "-rss_limit_mb=2048", out,
                    *fuzzer.folders()], cwd=fuzzer.work, env=environment(), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def merge(fuzzer):
    os.makedirs(fuzzer.work, exist_ok=True)
    out = os.path.join(fuzzer.work, "merged")
    # First by how often code runs; where that is too much to commit, by code alone, then the
    # largest inputs go.
    for how in (["-set_cover_merge=1"], ["-set_cover_merge=1", "-use_counters=0"]):
        minimise(fuzzer, out, how)
        if fits(out):
            break
    found = sorted((f for f in os.listdir(out) if is_found(f)),
                   key=lambda f: os.path.getsize(os.path.join(out, f)))
    while found and not fits(out):
        os.unlink(os.path.join(out, found.pop()))
    for file in os.listdir(fuzzer.seeds):
        if is_found(file):
            os.unlink(os.path.join(fuzzer.seeds, file))
    for file in os.listdir(out):
        shutil.copy(os.path.join(out, file), fuzzer.seeds)
    files = os.listdir(fuzzer.seeds)
    size = sum(os.path.getsize(os.path.join(fuzzer.seeds, f)) for f in files)
    print(f"{fuzzer.name:32} {len(files):4} files  {size:6} bytes committed", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][len("usage: "):], add_help=True)
    parser.add_argument("build")
    parser.add_argument("seconds", nargs="?", type=int, default=300)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--merge", action="store_true")
    options = parser.parse_args()
    fuzzers = find(os.path.abspath(options.build), options.name)
    if not fuzzers or options.seconds < 0 or options.jobs < 1:
        print(f"fuzz.py: no fuzzer named {options.name!r} in {options.build}/fuzz" if not fuzzers
              else "fuzz.py: SECONDS and --jobs are not negative", file=sys.stderr)
        return 2
    bad = run_all(fuzzers, options.seconds, options.jobs)
    if options.merge:
        for fuzzer in fuzzers:
            if fuzzer not in bad:
                merge(fuzzer)
    print(f"{len(fuzzers) - len(bad)} of {len(fuzzers)} fuzzers found nothing"
          + "".join(f"\n  finding: {f.name}, in {f.findings}" for f in bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
