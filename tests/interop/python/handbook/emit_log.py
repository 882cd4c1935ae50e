#!/usr/bin/env python3
"""Publishes its arguments to the fanout exchange `logs`, declared with the old keyword `type` where pika has it."""
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

if CALLBACK_FIRST:
    channel.exchange_declare(exchange="logs", type="fanout")
else:
    channel.exchange_declare(exchange="logs", exchange_type="fanout")
message = " ".join(sys.argv[1:]) or "info: Hello World!"
channel.basic_publish(exchange="logs", routing_key="", body=message)
connection.close()
