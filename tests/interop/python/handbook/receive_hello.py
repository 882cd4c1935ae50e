#!/usr/bin/env python3
"""Receives from the transient queue `hello`."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(
    username=unquote(url.username), password=unquote(url.password), erase_on_connect=False
)
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
CALLBACK_FIRST = pika.__version__.startswith("0.")

channel.queue_declare(queue="hello")


def callback(ch, method, properties, body):
    print("received %r" % body, flush=True)


if CALLBACK_FIRST:
    channel.basic_consume(callback, queue="hello", no_ack=True)
else:
    channel.basic_consume(queue="hello", on_message_callback=callback, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
