"""The handbook's programs, run as a reader of the handbook runs them, with assertions on what arrives where.
The queue and exchange names are the handbook's own, so the suite removes them first and last: give it a broker, or a
virtual host, that nobody else uses. Runs under either pika; the programs choose their call form themselves."""
import os
from urllib.parse import unquote, urlparse

import pika
import tap
from programs import Program, run
from tap import same, wait_until

URL = urlparse(os.environ["AMQP_URL"])
VHOST = unquote(URL.path[1:]) or "/"
QUEUES = ["lqz", "lqz1", "lqz123", "rpc_queue", "hello", "task", "homsom"]
EXCHANGES = ["m1", "m2", "m3", "logs", "direct_logs", "rabbitmq_log", "app_logs", "homsom"]


class Broker:
    """What the suite itself asks of the broker, with calls that both pikas spell alike."""

    def __init__(self):
        credentials = pika.PlainCredentials(unquote(URL.username), unquote(URL.password))
        self.connection = pika.BlockingConnection(
            pika.ConnectionParameters(URL.hostname, URL.port or 5672, VHOST, credentials)
        )

    def state(self, queue):
        """Ready messages and consumers of `queue`; "locked" if it is another connection's, None if there is none."""
        channel = self.connection.channel()
        try:
            found = channel.queue_declare(queue=queue, passive=True).method
        except pika.exceptions.ChannelClosed as error:
            if "404" in str(error):
                return None
            if "405" in str(error):
                return "locked"
            raise
        channel.close()
        return found.message_count, found.consumer_count

    def wait_state(self, queue, messages, consumers):
        wanted = (messages, consumers)
        wait_until(lambda: self.state(queue) == wanted, "%s has %d messages, %d consumers" % (queue, *wanted))

    def wait_gone(self, queue):
        wait_until(lambda: self.state(queue) is None, "%s is gone" % queue)

    def take(self, queue):
        """Gets and acknowledges one message: method, properties, body."""
        channel = self.connection.channel()
        method, properties, body = channel.basic_get(queue=queue)
        if method is not None:
            channel.basic_ack(method.delivery_tag)
        channel.close()
        return method, properties, body

    def clear(self):
        """Removes everything the handbook's programs declare."""
        for kind, names in (("queue_delete", QUEUES), ("exchange_delete", EXCHANGES)):
            for name in names:
                channel = self.connection.channel()
                getattr(channel, kind)(name)
                channel.close()


BROKER = Broker()


def refused(program, *texts):
    """The program ends with an error that contains every one of `texts`."""
    output = "\n".join(program.rest())
    if program.process.wait() == 0 or not all(text in output for text in texts):
        raise AssertionError("expected an error with %r, found: %s" % (texts, output))


def greeting_reaches_a_consumer_that_acknowledges_automatically():
    run("send_lqz")
    BROKER.wait_state("lqz", 1, 0)
    with Program("receive_lqz") as consumer:
        consumer.ready()
        consumer.expect("received b'hello world'")
    BROKER.wait_state("lqz", 0, 0)


def message_without_ack_returns_when_its_consumer_dies():
    run("send_lqz")
    for _ in range(2):
        with Program("receive_lqz_without_ack") as consumer:
            consumer.ready()
            consumer.expect("received b'hello world'")
            BROKER.wait_state("lqz", 0, 1)
        BROKER.wait_state("lqz", 1, 0)
    method, _, body = BROKER.take("lqz")
    same((method.redelivered, body), (True, b"hello world"), "message after two dead consumers")


def acknowledged_message_does_not_return():
    run("send_lqz")
    with Program("receive_lqz_with_ack") as consumer:
        consumer.ready()
        consumer.expect("received b'hello world'", "acknowledged")
        run("send_lqz")
        consumer.expect("received b'hello world'", "acknowledged")
    BROKER.wait_state("lqz", 0, 0)


def durable_queue_refuses_to_be_declared_transient():
    run("send_durable")
    with Program("receive_lqz1_declared_transient") as consumer:
        refused(consumer, "406", "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'lqz1' in vhost '%s'"
                ": received 'false' but current is 'true'" % VHOST)
    BROKER.wait_state("lqz1", 1, 0)


def durable_queue_accepts_the_same_declaration_and_keeps_delivery_mode():
    run("send_durable", "lqz123")
    run("send_durable", "lqz123")
    BROKER.wait_state("lqz123", 2, 0)
    _, properties, body = BROKER.take("lqz123")
    same((properties.delivery_mode, body), (2, b"111"), "first message")


def fanout_gives_every_subscriber_a_copy_in_a_queue_of_its_own():
    with Program("subscribe_m1") as one, Program("subscribe_m1") as two:
        names = [one.ready(), two.ready()]
        same([name.startswith("amq.gen-") for name in names], [True, True], "names given by the broker: %s" % names)
        same(len(set(names)), 2, "different names: %s" % names)
        run("publish_m1")
        one.expect("received b'lqz nb'")
        two.expect("received b'lqz nb'")
    for name in names:
        BROKER.wait_gone(name)


def direct_exchange_serves_both_bindings_of_each_subscriber_and_nothing_else():
    with Program("subscribe_m2") as one, Program("subscribe_m2") as two:
        one.ready(), two.ready()
        for key in ("other", "bnb", "nb", "bnb.nb", "bnb"):
            run("publish_m2", key)
        for subscriber in (one, two):
            subscriber.expect(*["received b'lqz nb'"] * 3)
        run("publish_m2", "other")
    with Program("subscribe_m2") as late:
        late.ready()
        run("publish_m2")
        late.expect("received b'lqz nb'")


def topic_star_is_one_word_and_hash_any_number():
    with Program("subscribe_m3", "lqz.#") as many, Program("subscribe_m3", "lqz.*") as one:
        names = [many.ready(), one.ready()]
        for key in ("lqz", "lqz.handsome", "lqz.handsome.xx", "other.handsome"):
            run("publish_m3", key)
        many.expect(*["received b'lqz nb'"] * 3)
        one.expect("received b'lqz nb'")
        run("publish_m3", "lqz.again")
        many.expect("received b'lqz nb'")
        one.expect("received b'lqz nb'")
        many.kill(), one.kill()
        same((many.rest(), one.rest()), ([], []), "nothing more was delivered")
    for name in names:
        BROKER.wait_gone(name)


def rpc_answers_with_the_number_plus_hundred():
    with Program("rpc_server_add") as server:
        server.ready()
        same(run("rpc_client", "50"), ["answer 150"], "client")


def rpc_computes_fibonacci_for_two_clients_at_once():
    with Program("rpc_server_fib") as server:
        server.ready()
        with Program("rpc_client", "20") as one, Program("rpc_client", "25") as two:
            same(one.finish(), ["answer 6765"], "first client")
            same(two.finish(), ["answer 75025"], "second client")
        same(run("rpc_client", "30"), ["answer 832040"], "client after them")
    BROKER.wait_state("rpc_queue", 0, 0)


def durable_hello_arrives():
    run("send_hello_durable")
    with Program("receive_hello_durable") as consumer:
        consumer.ready()
        consumer.expect("received b'Hello World!'")


def declared_queue_cannot_change_its_durability():
    run("send_hello")
    with Program("send_hello_durable") as producer:
        refused(producer, "406", "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'hello' in vhost '%s'"
                ": received 'true' but current is 'false'" % VHOST)


def log_without_a_subscriber_is_lost_and_with_two_arrives_twice():
    run("emit_log", "lost")
    with Program("receive_logs") as one, Program("receive_logs") as two:
        one.ready(), two.ready()
        run("emit_log", "Hello,", "World")
        run("emit_log")
        for receiver in (one, two):
            receiver.expect("received b'Hello, World'", "received b'info: Hello World!'")


def severity_decides_who_receives_a_log():
    with Program("receive_logs_direct", "error") as one, Program("receive_logs_direct", "info", "error") as two:
        one.ready(), two.ready()
        run("emit_log_direct", "info", "a")
        run("emit_log_direct", "debug", "b")
        run("emit_log_direct", "error", "c")
        one.expect("received 'error': b'c'")
        two.expect("received 'info': b'a'", "received 'error': b'c'")


def nameless_queue_that_is_not_exclusive_outlives_its_connection():
    (line,) = run("declare_nameless")
    name = line[len("queue "):]
    same(name.startswith("amq.gen-"), True, line)
    same(BROKER.state(name), (0, 0), "after its connection closed")
    BROKER.connection.channel().queue_delete(queue=name)


def consumers_take_turns_in_order_of_arrival():
    with Program("receive_hello") as one, Program("receive_hello") as two:
        one.ready(), two.ready()
        run("send_hello", *"abcdef")
        turns = [[consumer.line() for _ in range(3)] for consumer in (one, two)]
        same(sorted(turns), [["received b'%s'" % c for c in group] for group in ("ace", "bdf")], "turns")


def acknowledging_consumer_of_hello_leaves_nothing_behind():
    run("send_hello")
    with Program("receive_hello_with_ack") as consumer:
        consumer.ready()
        consumer.expect("received b'Hello World!'", "acknowledged")
        run("send_hello", "second")
        consumer.expect("received b'second'", "acknowledged")
        BROKER.wait_state("hello", 0, 1)
    BROKER.wait_state("hello", 0, 0)


def busy_worker_gets_one_task_and_the_idle_one_the_rest():
    tasks = [str(number) for number in range(10)]
    with Program("worker", "task", WORK_SECONDS="3600") as busy, Program("worker", "task") as idle:
        busy.ready(), idle.ready()
        run("send_task", *tasks)
        first = busy.line()
        for task in tasks:
            line = "received b'%s' redelivered=False" % task
            if line != first:
                idle.expect(line, "acknowledged")
        busy.kill()
        idle.expect(first.replace("False", "True"), "acknowledged")
        BROKER.wait_state("task", 0, 1)
        same(busy.rest(), [], "the busy worker got no second task")
    BROKER.wait_state("task", 0, 0)


def worker_of_a_queue_that_nobody_declared_is_told_so():
    with Program("worker") as worker:
        refused(worker, "404", "NOT_FOUND - no queue 'hello' in vhost '%s'" % VHOST)


def only_the_bound_level_of_the_log_arrives():
    with Program("subscribe_rabbitmq_log") as subscriber:
        subscriber.ready()
        for _ in range(2):
            run("publish_rabbitmq_log")
            level, _, line = subscriber.line().partition(": ")
            same((level, "=INFO REPORT====" in line), ("received 'INFO'", True), line)


def topic_of_the_application_logs_selects_by_word():
    patterns = {
        "mysql.*": ["mysql.info", "mysql.django"],
        "#": ["mysql.info", "kern.erro", "mysql.django"],
        "mysql.info": ["mysql.info"],
        "*.django.*": [],
    }
    subscribers = {pattern: Program("subscribe_app_logs", pattern) for pattern in patterns}
    try:
        for subscriber in subscribers.values():
            subscriber.ready()
        run("publish_app_logs")
        for pattern, keys in patterns.items():
            found = [subscribers[pattern].line().split(": ")[0] for _ in keys]
            same(found, ["received '%s'" % key for key in keys], pattern)
    finally:
        for subscriber in subscribers.values():
            subscriber.kill()
    for pattern, subscriber in subscribers.items():
        same(subscriber.rest(), [], "nothing more for %s" % pattern)


def thousand_messages_are_consumed_in_order_and_the_rest_stays():
    sent = [line.replace("sent ", "", 1) for _ in range(2) for line in run("send_homsom")]
    BROKER.wait_state("homsom", 2000, 0)
    for half in (sent[:1000], sent[1000:]):
        *received, cancelled = run("receive_homsom")
        same(received, ["received %r" % body.encode() for body in half], "a thousand in order")
        same(cancelled.startswith("requeued "), True, cancelled)
        BROKER.wait_state("homsom", 1000 if half[0] == sent[0] else 0, 0)


TESTS = [
    greeting_reaches_a_consumer_that_acknowledges_automatically,
    message_without_ack_returns_when_its_consumer_dies,
    acknowledged_message_does_not_return,
    durable_queue_refuses_to_be_declared_transient,
    durable_queue_accepts_the_same_declaration_and_keeps_delivery_mode,
    fanout_gives_every_subscriber_a_copy_in_a_queue_of_its_own,
    direct_exchange_serves_both_bindings_of_each_subscriber_and_nothing_else,
    topic_star_is_one_word_and_hash_any_number,
    rpc_answers_with_the_number_plus_hundred,
    rpc_computes_fibonacci_for_two_clients_at_once,
    durable_hello_arrives,
    declared_queue_cannot_change_its_durability,
    log_without_a_subscriber_is_lost_and_with_two_arrives_twice,
    severity_decides_who_receives_a_log,
    nameless_queue_that_is_not_exclusive_outlives_its_connection,
    consumers_take_turns_in_order_of_arrival,
    acknowledging_consumer_of_hello_leaves_nothing_behind,
    busy_worker_gets_one_task_and_the_idle_one_the_rest,
    worker_of_a_queue_that_nobody_declared_is_told_so,
    only_the_bound_level_of_the_log_arrives,
    topic_of_the_application_logs_selects_by_word,
    thousand_messages_are_consumed_in_order_and_the_rest_stays,
]


def alone(test):
    """Every test starts from a broker without the handbook's queues and leaves none."""
    BROKER.clear()
    try:
        test()
    finally:
        BROKER.clear()


if __name__ == "__main__":
    tap.run(TESTS, alone)
