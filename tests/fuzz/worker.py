"""Reads one file, and notes what came of it: in this process, or in one of its own."""

import dataclasses
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time

ALLOWED = (ValueError, OSError)
# What no reader has reason to do. `marshal.loads` also imports modules.
FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen"),
    *("pickle.find_class", "marshal.loads", "code.__new__", "function.__new__"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request", "ctypes.dlopen"),
)
WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link")


@dataclasses.dataclass
class Result:
    """What came of reading a file.

    Attributes:
        outcome: "read", "refused", or what is not allowed: "other error", "crash",
            "hang", "memory", "forbidden".
        text: The error, or what was forbidden.
        seconds: How long it took.
        megabytes: How much the memory of the process rose at most.
    """

    outcome: str
    text: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


class Watch:
    """Notes forbidden events while a file is read."""

    def __init__(self):
        self.folder = None
        self.events = []
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.folder is None:
            return
        if event in FORBIDDEN and not _is_import():
            self.events.append(f"{event} {arguments!r:.200}")
        elif event in WRITES:
            self._note(event, arguments[0])
        elif event == "open" and isinstance(arguments[0], str):
            flags = arguments[2] or 0
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note("open for writing", arguments[0])

    def _note(self, event, path):
        path = pathlib.Path(os.fsdecode(path)).absolute()
        free = (pathlib.Path(tempfile.gettempdir()), pathlib.Path("/dev"))
        is_cache = "__pycache__" in path.parts or "matplotlib" in str(path)
        if not is_cache and not any(path.is_relative_to(x) for x in free):
            self.events.append(f"{event} {path}")


def _is_import():
    """Whether Python's import system, or a module that it runs, is at work."""
    frame = sys._getframe(2)
    while frame is not None:
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def attempt(kind, folder, watch):
    """Reads the file of a kind in a folder."""
    from tests.fuzz import kinds

    read = kinds.KINDS[kind].read
    before, began = _memory("VmRSS", reset=True), time.monotonic()
    watch.folder, watch.events = folder, []
    try:
        read(folder)
        result = Result("read")
    except Exception as error:
        allowed = isinstance(error, ALLOWED)
        result = Result("refused" if allowed else "other error")
        result.text = f"{type(error).__name__}: {error}"
    finally:
        watch.folder = None
    result.seconds = time.monotonic() - began
    result.megabytes = _memory("VmHWM") - before
    if watch.events:
        result.outcome, result.text = "forbidden", "; ".join(watch.events)
    return result


def done(task, kind, place, watch):
    """Does a task: "make", "read", or the name of a crafted case."""
    from tests.fuzz import crafted, kinds

    place = pathlib.Path(place)
    if task == "read":
        return attempt(kind, place, watch)
    if task == "make":
        place.mkdir(parents=True)
        kinds.KINDS[kind].make(place)
        return kinds.KINDS[kind].file
    crafted.CASES[kind][task](place)
    return "made"


def _memory(what, reset=False):
    """Megabytes that this process holds, or held at most since the last reset."""
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith(what)]
    return int(line.split()[1]) / 1024


def serve(pipe, folder):
    """Reads what comes through a pipe, and sends the results back."""
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    import tests.fuzz.crafted  # noqa: F401 before anything is watched

    watch = Watch()
    pipe.send("ready")
    while True:
        task, kind, place = pipe.recv()
        pipe.send(done(task, kind, place, watch))


class Worker:
    """A process that reads files; another takes its place where it dies.

    Args:
        folder: Where it may write.
        seconds: The most that a file may take.
        megabytes: The most that the process may hold while it reads.
    """

    def __init__(self, folder, seconds=30.0, megabytes=3500):
        self.folder, self.seconds, self.megabytes = folder, seconds, megabytes
        self._process = None

    def ask(self, task, kind, place):
        """Lets the process do a task; returns what it sends, or a `Result`."""
        if self._process is None:
            self._start()
        self._pipe.send((task, kind, str(place)))
        began = time.monotonic()
        while not self._pipe.poll(0.05):
            if not self._process.is_alive():
                code = self._process.exitcode
                return self._lost("crash", f"exit code {code}", began)
            if self._held() > self.megabytes:
                return self._lost("memory", f"over {self.megabytes} MB", began)
            if time.monotonic() - began > self.seconds:
                return self._lost("hang", f"over {self.seconds} s", began)
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            return self._lost("crash", f"exit code {code}", began)

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=serve, args=(other, str(self.folder)), daemon=True
        )
        self._process.start()
        other.close()
        assert self._pipe.recv() == "ready"

    def _held(self):
        import psutil

        return psutil.Process(self._process.pid).memory_info().rss / 2**20

    def _lost(self, outcome, text, began):
        self.close()
        return Result(outcome, text, time.monotonic() - began)

    def close(self):
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
