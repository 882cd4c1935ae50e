"""The broker as kombu sees it: its declarative entities, simple queues, serialisation and run-time prefetch.
Its remote-control mailbox is at work in the suite of Celery."""
import os
import socket
import uuid

import tap
from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed, ResourceLocked
from kombu import Connection, Consumer, Exchange, Producer, Queue, binding
from tap import same, wait_until

URL = os.environ["AMQP_URL"]


def fresh(kind):
    return "interop-%s-%s" % (kind, uuid.uuid4().hex[:8])


def connect(**options):
    return Connection(URL, transport_options=dict(confirm_publish=True, **options))


def drain(connection, finished, what):
    """Handles what arrives until `finished` holds."""

    def step():
        try:
            connection.drain_events(timeout=0.05)
        except socket.timeout:
            pass
        return finished()

    wait_until(step, what)


def messages_in(channel, name):
    return channel.queue_declare(name, passive=True).message_count


def simple_queue_gives_back_what_was_put_in_order(connection):
    with connection.SimpleQueue(fresh("simple"), queue_opts=dict(durable=False, auto_delete=True)) as queue:
        for number in range(5):
            queue.put({"number": number})
        found = []
        for _ in range(5):
            message = queue.get(timeout=tap.DEADLINE_SECONDS)
            found.append(message.payload["number"])
            message.ack()
        same(found, [0, 1, 2, 3, 4], "payloads")
        same(len(queue), 0, "left")


def publish_is_confirmed_before_it_returns(connection):
    with connection.channel() as channel:
        queue = Queue(fresh("confirmed"), exclusive=True, durable=False)(channel)
        queue.declare()
        producer = Producer(channel)
        for number in range(20):
            producer.publish(b"%d" % number, routing_key=queue.name, delivery_mode=2)
        same(messages_in(channel, queue.name), 20, "confirmed messages in the queue")


def topic_queue_with_two_bindings_gets_each_message_once(connection):
    exchange = Exchange(fresh("topic"), "topic", durable=False, auto_delete=True)
    queue = Queue(fresh("bound"), bindings=[binding(exchange, "a.*"), binding(exchange, "#.b")], auto_delete=True, durable=False)
    received = []
    with connection.channel() as channel, Consumer(channel, queue, callbacks=[lambda body, m: (received.append(body), m.ack())]):
        producer = Producer(channel, exchange)
        for key in ("a.b", "x", "a.c", "x.y.b"):
            producer.publish(key, routing_key=key)
        drain(connection, lambda: len(received) >= 3, "three messages")
    same(received, ["a.b", "a.c", "x.y.b"], "received")


def reject_drops_and_requeue_returns_a_message(connection):
    seen = []

    def handle(body, message):
        seen.append((body, message.delivery_info["redelivered"]))
        if body == "drop":
            message.reject()
        elif message.delivery_info["redelivered"]:
            message.ack()
        else:
            message.requeue()

    with connection.channel() as channel:
        queue = Queue(fresh("requeue"), exclusive=True, durable=False)(channel)
        with Consumer(channel, queue, callbacks=[handle]):
            producer = Producer(channel)
            for body in ("drop", "again"):
                producer.publish(body, routing_key=queue.name)
            drain(connection, lambda: len(seen) >= 3, "three deliveries")
            wait_until(lambda: messages_in(channel, queue.name) == 0, "nothing is left")
        same(sorted(seen), [("again", False), ("again", True), ("drop", False)], "deliveries")


def prefetch_of_a_running_consumer_can_be_raised(connection):
    with connection.channel() as channel:
        queue = Queue(fresh("prefetch"), exclusive=True, durable=False)(channel)
        queue.declare()
        producer, received = Producer(channel), []
        for number in range(10):
            producer.publish(number, routing_key=queue.name)
        consumer = Consumer(channel, queue, callbacks=[lambda body, message: received.append(message)])
        same(connection.qos_semantics_matches_spec, False, "a RabbitMQ since 3.3, as the version says")
        consumer.qos(prefetch_count=2, apply_global=True)
        with consumer:
            drain(connection, lambda: len(received) == 2, "two deliveries")
            same(messages_in(channel, queue.name), 8, "ready")
            consumer.qos(prefetch_count=5, apply_global=True)
            drain(connection, lambda: len(received) == 5, "five deliveries")
            same(messages_in(channel, queue.name), 5, "ready")
            consumer.qos(prefetch_count=1, apply_global=True)
            for message in received[:4]:
                message.ack()
            same(messages_in(channel, queue.name), 5, "ready: one is owed, which is all it may owe")
            received[4].ack()
            drain(connection, lambda: len(received) == 6, "one more")


def compressed_json_and_headers_arrive_as_sent(connection):
    with connection.channel() as channel:
        queue = Queue(fresh("payload"), exclusive=True, durable=False)(channel)
        queue.declare()
        payload, headers = {"words": ["ä", "b"] * 50}, {"retries": 3, "nested": {"list": [1, None, "x"]}}
        Producer(channel).publish(
            payload, routing_key=queue.name, serializer="json", compression="zlib", headers=headers, priority=3,
            expiration=60, correlation_id="c",
        )
        message = queue.get()
        same(message.payload, payload, "payload")
        same({key: message.headers[key] for key in headers}, headers, "headers")
        same((message.properties["priority"], message.properties["expiration"]), (3, "60000"), "properties")
        message.ack()
        same(queue.get(), None, "empty")


def unroutable_mandatory_message_is_returned(connection):
    returned = []
    with connection.channel() as channel:
        producer = Producer(channel, on_return=lambda *found: returned.append(found[:2]))
        producer.publish("lost", routing_key=fresh("nowhere"), mandatory=True)
        drain(connection, lambda: returned, "a return")
        error = returned[0][0]
        same((error.reply_code, error.reply_text), (312, "NO_ROUTE"), "returned")


def refusals_carry_their_code_and_text(connection):
    name = fresh("none")
    error = tap.raises(NotFound, lambda: Queue(name)(connection.channel()).queue_declare(passive=True))
    text = "NOT_FOUND - no queue '%s' in vhost '%s'" % (name, connection.virtual_host)
    same((error.reply_code, error.reply_text), (404, text), "refusal")
    name = fresh("plain")
    Queue(name, exclusive=True, durable=False)(connection.channel()).declare()
    other = Queue(name, exclusive=True, durable=False, max_length=5)
    error = tap.raises(PreconditionFailed, lambda: other(connection.channel()).declare())
    text = (
        "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '%s' in vhost '%s': received the value '5' of "
        "type 'signedint' but current is none" % (name, connection.virtual_host)
    )
    same((error.reply_code, error.reply_text), (406, text), "refusal")
    with connect() as second:
        error = tap.raises(ResourceLocked, lambda: Queue(name, durable=False)(second.channel()).declare())
        same(error.reply_code, 405, str(error))
    Queue(fresh("after"), exclusive=True, durable=False)(connection.channel()).declare()


def wrong_password_is_refused(connection):
    wrong = Connection(URL)
    wrong.password = fresh("wrong")
    error = tap.raises(AccessRefused, wrong.connect)
    same((error.reply_code, "ACCESS_REFUSED - Login was refused" in str(error)), (403, True), str(error))


TESTS = [
    simple_queue_gives_back_what_was_put_in_order,
    publish_is_confirmed_before_it_returns,
    topic_queue_with_two_bindings_gets_each_message_once,
    reject_drops_and_requeue_returns_a_message,
    prefetch_of_a_running_consumer_can_be_raised,
    compressed_json_and_headers_arrive_as_sent,
    unroutable_mandatory_message_is_returned,
    refusals_carry_their_code_and_text,
    wrong_password_is_refused,
]


def with_connection(test):
    with connect() as connection:
        test(connection)


if __name__ == "__main__":
    tap.run(TESTS, with_connection)
