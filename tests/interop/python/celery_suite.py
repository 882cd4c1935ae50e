"""A Celery worker as its users run it: results over rpc://, remote control, and above all a prefetch that changes
while the worker runs. What the worker owes is read off the broker: messages sent less messages ready."""
import os
import subprocess
import sys
import tempfile
import uuid

import tap
from tap import same, wait_until

QUEUE = os.environ["CELERY_QUEUE"] = "interop-celery-" + uuid.uuid4().hex[:8]

from celery_app import add, app, wait_for  # noqa: E402  the application reads the queue's name from the environment

HERE = os.path.dirname(os.path.abspath(__file__))


class Worker:
    """A worker process with one pool process, ready when it answers a ping."""

    def __init__(self):
        self.name = "worker-%s@interop" % uuid.uuid4().hex[:8]
        command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-n", self.name, "-c", "1", "-l", "INFO"]
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(command, cwd=HERE, stdout=self.log, stderr=subprocess.STDOUT)

    def __enter__(self):
        try:
            wait_until(lambda: self.ask("ping", 0.5), "the worker answers a ping", seconds=30)
        except AssertionError as error:
            self.__exit__()
            raise AssertionError("%s; its log ends: %s" % (error, open(self.log.name).read()[-600:]))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, command, timeout=tap.DEADLINE_SECONDS, **arguments):
        """Sends a remote-control command to this worker alone and returns its answers."""
        if self.process.poll() is not None:
            raise AssertionError("the worker ended: " + open(self.log.name).read()[-600:])
        return app.control.broadcast(command, arguments, destination=[self.name], reply=True, timeout=timeout, limit=1)

    def prefetch(self):
        """The prefetch that the worker itself says it has."""
        (answer,) = self.ask("stats")
        return answer[self.name]["prefetch_count"]

    def shrink(self, processes):
        """Takes processes away one by one; Celery refuses while it thinks that all are busy."""
        for _ in range(processes):
            wait_until(lambda: "ok" in self.ask("pool_shrink", n=1)[0][self.name], "the pool shrinks by one")

    def owes(self, sent, count):
        """Waits until this many of `sent` messages are out with the worker, by the broker's count."""
        wait_until(lambda: sent - ready() == count, "%d of %d messages are with the worker" % (count, sent))


def queue():
    """Counts of the worker's queue, by the broker."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        return channel.queue_declare(QUEUE, passive=True)


def ready():
    return queue().message_count


def results(pending):
    return [result.get(timeout=tap.DEADLINE_SECONDS) for result in pending]


def tasks_run_and_their_results_come_back(worker, directory):
    same(results([add.delay(number, 1) for number in range(20)]), list(range(1, 21)), "results")


def prefetch_follows_the_pool_as_it_grows_and_shrinks(worker, directory):
    grow = ("grown", lambda: worker.ask("pool_grow", n=2), 6)
    shrink = ("shrunk", lambda: worker.shrink(2), 2)
    for state, change, prefetch in (grow, shrink):
        change()
        # The worker tells the broker of its new prefetch in its event loop, a round of which ends with this result.
        wait_until(lambda: worker.prefetch() == prefetch, "the worker's prefetch is %d" % prefetch)
        same(results([add.delay(1, 1), add.delay(1, 2)]), [2, 3], "results in between")
        paths = [os.path.join(directory, "%s-%d" % (state, number)) for number in range(12)]
        pending = [wait_for.delay(path) for path in paths]
        worker.owes(12, prefetch)
        same(worker.prefetch(), prefetch, "prefetch of a pool that has %s" % state)
        for path in paths[:2]:
            open(path, "w").close()
        same(results(pending[:2]), [os.path.basename(path) for path in paths[:2]], "results")
        worker.owes(10, prefetch)
        for path in paths[2:]:
            open(path, "w").close()
        same(results(pending), [os.path.basename(path) for path in paths], "results")


def prefetch_is_raised_while_every_place_is_taken(worker, directory):
    paths = [os.path.join(directory, str(number)) for number in range(12)]
    pending = [wait_for.delay(path) for path in paths]
    worker.owes(12, 2)
    worker.ask("pool_grow", n=2)
    worker.owes(12, 6)
    for path in paths:
        open(path, "w").close()
    same(results(pending), [str(number) for number in range(12)], "results")


def tasks_for_later_raise_the_prefetch_so_that_others_still_run(worker, directory):
    for _ in range(6):
        add.apply_async((1, 1), countdown=3600)
    worker.owes(6, 6)
    same(results([add.delay(2, 2)]), [4], "a task for now")
    wait_until(lambda: worker.prefetch() == 8, "prefetch: two and one for each task that waits")


def tasks_held_back_by_a_rate_limit_are_owed_within_the_prefetch(worker, directory):
    limit = worker.ask("rate_limit", task_name=add.name, rate_limit="1/h")
    same(limit, [{worker.name: {"ok": "new rate limit set successfully"}}], "answer")
    pending = [add.delay(number, 0) for number in range(5)]
    same(results(pending[:1]), [0], "the first is within the limit")
    worker.owes(4, 2)
    worker.process.kill()
    wait_until(lambda: ready() == 4, "all that was held back is in the queue")
    with Worker():
        same(results(pending[1:]), [1, 2, 3, 4], "results of a worker without the limit")


def cancelled_consumer_leaves_its_queue_alone_until_it_is_added_again(worker, directory):
    worker.ask("cancel_consumer", queue=QUEUE)
    # The worker answers before it has told the broker.
    wait_until(lambda: queue().consumer_count == 0, "the worker no longer consumes")
    pending = [add.delay(number, number) for number in range(3)]
    wait_until(lambda: ready() == 3, "three tasks stay in the queue")
    worker.ask("add_consumer", queue=QUEUE)
    same(results(pending), [0, 2, 4], "results")


def tasks_of_a_killed_worker_are_done_by_the_next(worker, directory):
    paths = [os.path.join(directory, name) for name in "ab"]
    pending = [wait_for.delay(path) for path in paths]
    worker.owes(2, 2)
    worker.process.kill()
    wait_until(lambda: ready() == 2, "both tasks are back in the queue")
    for path in paths:
        open(path, "w").close()
    with Worker():
        same(results(pending), ["a", "b"], "results")


TESTS = [
    tasks_run_and_their_results_come_back,
    prefetch_follows_the_pool_as_it_grows_and_shrinks,
    prefetch_is_raised_while_every_place_is_taken,
    tasks_for_later_raise_the_prefetch_so_that_others_still_run,
    tasks_held_back_by_a_rate_limit_are_owed_within_the_prefetch,
    cancelled_consumer_leaves_its_queue_alone_until_it_is_added_again,
    tasks_of_a_killed_worker_are_done_by_the_next,
]


def with_worker(test):
    """Every test has a worker, an empty queue and a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            with Worker() as worker:
                test(worker, directory)
        finally:
            remove_queue()


def remove_queue():
    with app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(QUEUE)


if __name__ == "__main__":
    tap.run(TESTS, with_worker)
