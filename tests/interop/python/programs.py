"""Starts the handbook's programs as processes of their own and reads what they print. It knows nothing of AMQP beyond
the address in the environment; which pika the programs import is decided by PROGRAM_PYTHON and PROGRAM_PATH."""
import os
import queue
import subprocess
import sys
import threading

from tap import DEADLINE_SECONDS, same

HERE = os.path.dirname(os.path.abspath(__file__))


class Program:
    """One running program; a context manager that kills what is left of it."""

    def __init__(self, name, *arguments, **environment):
        self.name = name
        env = dict(os.environ, PYTHONUNBUFFERED="1", **environment)
        env["PYTHONPATH"] = os.environ.get("PROGRAM_PATH", "")
        python = os.environ.get("PROGRAM_PYTHON", sys.executable)
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "handbook", name + ".py"), *arguments],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def line(self):
        """The next line printed, None at the end of the output."""
        try:
            return self.lines.get(timeout=DEADLINE_SECONDS)
        except queue.Empty:
            raise AssertionError("%s printed nothing for %g s" % (self.name, DEADLINE_SECONDS))

    def expect(self, *wanted):
        """The next lines printed are exactly these."""
        for text in wanted:
            same(self.line(), text, self.name)

    def ready(self):
        """Waits until the program consumes; returns the name of its nameless queue, if it has one."""
        line, queue_name = self.line(), None
        if line is not None and line.startswith("queue "):
            queue_name, line = line[len("queue "):], self.line()
        if line != "ready":
            raise AssertionError("%s is not ready but says: %s" % (self.name, "\n".join([str(line), *self.rest()])))
        return queue_name

    def rest(self):
        """All lines until the program ends."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines

    def finish(self):
        """Waits for a clean end and returns what was printed until then."""
        lines = self.rest()
        code = self.process.wait(DEADLINE_SECONDS)
        if code != 0:
            raise AssertionError("%s ended with %d: %s" % (self.name, code, " | ".join(lines[-3:])))
        return lines

    def kill(self):
        """The program dies at once, as in a crash: no close, no acknowledgement."""
        self.process.kill()
        self.process.wait()


def run(name, *arguments):
    """Runs a program to its clean end and returns the lines it printed."""
    with Program(name, *arguments) as program:
        return program.finish()
