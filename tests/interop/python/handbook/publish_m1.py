#!/usr/bin/env python3
"""Publishes to the fanout exchange `m1`."""
import os
from urllib.parse import unquote, urlparse

import pika

url = urlparse(os.environ["AMQP_URL"])
credentials = pika.PlainCredentials(unquote(url.username), unquote(url.password))
parameters = pika.ConnectionParameters(url.hostname, url.port or 5672, unquote(url.path[1:]) or "/", credentials)
connection = pika.BlockingConnection(parameters)
channel = connection.channel()

channel.exchange_declare(exchange="m1", exchange_type="fanout")
channel.basic_publish(exchange="m1", routing_key="", body="lqz nb")
connection.close()
