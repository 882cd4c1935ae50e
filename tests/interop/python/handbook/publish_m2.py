#!/usr/bin/env python3
"""Publishes to the direct exchange `m2` with the key `bnb` or the one named first."""
import os
import sys
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="m2", exchange_type="direct")
channel.basic_publish(exchange="m2", routing_key=sys.argv[1] if len(sys.argv) > 1 else "bnb", body="lqz nb")
connection.close()
