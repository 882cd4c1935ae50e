#!/usr/bin/env python3
"""Subscribes to the topic exchange `m3` with the pattern named first, `lqz.#` or `lqz.*`."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
CALLBACK_FIRST = pika.__version__.startswith("0.")

channel.exchange_declare(exchange="m3", exchange_type="topic")
if CALLBACK_FIRST:
    result = channel.queue_declare(exclusive=True)
else:
    result = channel.queue_declare(queue="", exclusive=True)
queue_name = result.method.queue
print("queue %s" % queue_name, flush=True)
channel.queue_bind(exchange="m3", queue=queue_name, routing_key=sys.argv[1])


def callback(ch, method, properties, body):
    print("received %r" % body, flush=True)


if CALLBACK_FIRST:
    channel.basic_consume(callback, queue=queue_name, no_ack=True)
else:
    channel.basic_consume(queue=queue_name, on_message_callback=callback, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
