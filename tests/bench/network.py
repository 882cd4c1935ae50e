"""A network of one's own for a measurement: what the host's firewall and a Kubernetes on it do to every packet is not measured."""
import os
import subprocess
import sys

ENTERED = "BENCH_OWN_NETWORK"


def enter():
    """Goes on in a new network namespace that has the loopback device alone; on the host's where that is not allowed, and says so."""
    if os.environ.get(ENTERED) == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        os.environ[ENTERED] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    print("no network namespace of one's own here (root may): the host's firewall is measured as well", file=sys.stderr)
