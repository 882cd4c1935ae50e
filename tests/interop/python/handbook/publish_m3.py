#!/usr/bin/env python3
"""Publishes to the topic exchange `m3` with the key `lqz.handsome.xx` or the one named first."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="m3", exchange_type="topic")
channel.basic_publish(
    exchange="m3", routing_key=sys.argv[1] if len(sys.argv) > 1 else "lqz.handsome.xx", body="lqz nb"
)
connection.close()
