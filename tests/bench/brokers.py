"""Brokers of one's own for a load: started on free ports of the loopback address, stopped and removed afterwards."""
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

WARREN = os.environ.get("WARREN_BIN") or os.path.expanduser("~/.cache/warren/image/warren")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
SECONDS = os.environ.get("BENCH_SECONDS", "5")
START_SECONDS = 120

TRANSIENT = ["--auto-ack", "--in-flight", "20000"]
CONFIRMED = ["--persistent", "--confirm", "1000", "--prefetch", "500", "--ack-every", "100", "--size", "1KiB"]


class Broker:
    """A broker of our own; `with` starts it and takes it away. `config` is more of its configuration file, `shared` what
    several of one cluster have in common: a folder for the secret, and the name service's port."""

    def __init__(self, name, command, environment, config="", shared=None):
        self.name, self.command = name, command
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.ports = free_ports(4)
        self.node = f"bench-{self.ports[0]}@localhost"
        self.shared = shared or (self.folder.name, self.ports[2])
        self.environment = {**os.environ, **self.settings(config), **environment(self)}

    def path(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        if text is not None:
            with open(path, "w") as file:
                file.write(text)
        return path

    def settings(self, config):
        amqp, peers, _, admin = self.ports
        home, names = self.shared
        config += f"listeners.tcp.1 = 127.0.0.1:{amqp}\nlog.console = true\n"
        if self.name == "Warren":
            config += f"admin.tcp.port = {admin}\n"
        return {
            "HOME": home,
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_PORT": str(amqp),
            "RABBITMQ_DIST_PORT": str(peers),
            "RABBITMQ_MNESIA_BASE": self.path("data"),
            "RABBITMQ_LOG_BASE": self.path("log"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": self.path("rabbitmq.conf", config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.path("enabled_plugins", "[].\n"),
        }

    def begin(self):
        with open(self.path("output"), "w") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )

    def __enter__(self):
        self.begin()
        deadline = time.monotonic() + START_SECONDS
        while not greets(self.ports[0]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.path("output")) as output:
                    sys.exit(f"{self.name} did not start:\n{output.read()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        # The whole session: RabbitMQ leaves a name service behind.
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.name == "RabbitMQ":
            subprocess.run(["epmd", "-kill"], env=self.environment, capture_output=True)
        self.folder.cleanup()

    def perf(self, options, port=None):
        """One run of the load generator on this broker, or through another port; its report."""
        return self.end_perf(self.begin_perf(options, port))

    def begin_perf(self, options, port=None):
        """A run that has begun."""
        uri = f"amqp://guest:guest@127.0.0.1:{port or self.ports[0]}"
        command = [WARREN, "perf", "--uri", uri, "--json", "--quiet", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end_perf(self, load):
        """The report of a run, once it is over."""
        out, errors = load.communicate()
        if load.returncode != 0:
            sys.exit(f"{self.name}: {' '.join(load.args)}\n{errors}")
        return json.loads(out)


def member(first=None):
    """A node of its own, or one that is to join the cluster of `first`."""
    def environment(broker):
        return {"RABBITMQ_MNESIA_DIR": broker.path("node")}

    return Broker("Warren", [WARREN, "server"], environment, shared=first and first.shared)


def rabbitmq(first=None):
    """Debian's RabbitMQ, alone or to join the cluster of `first`."""
    # Without RUNNING_UNDER_SYSTEMD the script would stay as a parent and outlive its death.
    environment = {"RUNNING_UNDER_SYSTEMD": "true", "NOTIFY_SOCKET": ""}
    command = ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
    return Broker("RabbitMQ", command, lambda _: environment, shared=first and first.shared)


def ctl(broker, *words):
    """What the command line tool says of a node."""
    tool = ["/usr/lib/rabbitmq/bin/rabbitmqctl"] if broker.name == "RabbitMQ" else [WARREN, "ctl"]
    command = [*tool, "-q", "-n", broker.node, *words]
    done = subprocess.run(command, env=broker.environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def join(node, first):
    """Has a node join the cluster of another, by the usual commands."""
    ctl(node, "stop_app")
    ctl(node, "join_cluster", first.node)
    ctl(node, "start_app")


@contextlib.contextmanager
def cluster(count, new=member):
    """So many nodes of one cluster, the first of which has begun it; `new` makes each."""
    with contextlib.ExitStack() as nodes:
        first = nodes.enter_context(new())
        others = [nodes.enter_context(new(first)) for _ in range(1, count)]
        for other in others:
            join(other, first)
        ctl(first, "await_online_nodes", str(count))
        yield [first, *others]


def timed(brokers, load):
    """The options of a measured run: the CPU of all these brokers, with the processes that they have begun."""
    pids = ",".join(str(broker.process.pid) for broker in brokers)
    return ["--warmup", "1", "--duration", SECONDS, "--pid", pids, "--pid-children", *load]


def resident_mib(broker):
    with open(f"/proc/{broker.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def greets(port):
    """Whether a broker answers the protocol header."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def chosen(loads, words):
    """The loads whose name holds one of the words; all of them without words."""
    found = {name: load for name, load in loads.items() if not words or any(word in name for word in words)}
    if not found:
        sys.exit(f"no load is called that; there are: {', '.join(loads)}")
    return found


def median(reports):
    def of(read):
        return statistics.median(read(report) for report in reports)

    return {
        "rate": of(lambda report: report["publish_rate"]),
        "cpu": of(lambda report: report["cpu_seconds_per_million"]),
        "p99_ms": of(lambda report: report["latency_us"]["p99"] / 1000),
    }


def figures(side):
    return "{rate:>11,.0f} {cpu:>8.2f} {p99_ms:>9.1f}".format(**side)


FIGURES = f"{'msg/s':>11} {'CPU s/M':>8} {'p99 ms':>9}"


def keep(outcome):
    """Writes the outcome where the caller wants it, as JSON."""
    if "BENCH_JSON" in os.environ:
        with open(os.environ["BENCH_JSON"], "w") as file:
            json.dump(outcome, file, indent=2)
