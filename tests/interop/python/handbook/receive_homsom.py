#!/usr/bin/env python3
"""Takes 1000 messages from `homsom` with the generator `consume`, acknowledges each, cancels."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

for method_frame, properties, body in channel.consume("homsom"):
    print("received %r" % body, flush=True)
    channel.basic_ack(method_frame.delivery_tag)
    if method_frame.delivery_tag == 1000:
        break
requeued_messages = channel.cancel()
print("requeued %i" % requeued_messages, flush=True)
connection.close()
