#!/usr/bin/env python3
"""Publishes a message (second argument) of one severity (first argument) to `direct_logs`."""
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

severity, message = sys.argv[1], sys.argv[2]
if CALLBACK_FIRST:
    channel.exchange_declare(exchange="direct_logs", type="direct")
else:
    channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
channel.basic_publish(exchange="direct_logs", routing_key=severity, body=message)
connection.close()
