#!/usr/bin/env python3
"""A worker that takes one task at a time. Like the handbook's it declares `task` but consumes from the queue
named first (the handbook's says `hello`). WORK_SECONDS is how long one task takes."""
import os
import sys
import time
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()
CALLBACK_FIRST = pika.__version__.startswith("0.")

queue = sys.argv[1] if len(sys.argv) > 1 else "hello"
work_seconds = float(os.environ.get("WORK_SECONDS", "0"))
channel.queue_declare(queue="task", durable=True)


def callback(ch, method, properties, body):
    print("received %r redelivered=%s" % (body, method.redelivered), flush=True)
    time.sleep(work_seconds)
    ch.basic_ack(delivery_tag=method.delivery_tag)
    print("acknowledged", flush=True)


channel.basic_qos(prefetch_count=1)
if CALLBACK_FIRST:
    channel.basic_consume(callback, queue=queue, no_ack=False)
else:
    channel.basic_consume(queue=queue, on_message_callback=callback, auto_ack=False)
print("ready", flush=True)
channel.start_consuming()
