"""An AMQP program behind TLS, with pika: publishes and takes messages by the address in AMQP_URL, believing the authority in /server/ca.crt. With a pair in
/client it shows that, logs in by its certificate alone, and proves that nobody comes in without one. The node NODE must have no port without TLS."""
import os
import socket
import ssl

import pika

URL, PAIR = os.environ["AMQP_URL"], "/client/tls.crt"


def parameters(certificate, credentials=None):
    context = ssl.create_default_context(cafile="/server/ca.crt")
    if certificate:
        context.load_cert_chain(PAIR, "/client/tls.key")
    found = pika.URLParameters(URL)
    found.ssl_options = pika.SSLOptions(context, found.host)
    found.credentials = credentials or found.credentials
    return found


def use(found):
    connection = pika.BlockingConnection(found)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("example", durable=True)
    for number in range(20):
        channel.basic_publish("", "example", str(number).encode(), pika.BasicProperties(delivery_mode=2), mandatory=True)
    for number in range(20):
        method, _, body = channel.basic_get("example")
        assert body == str(number).encode(), (number, body)
        channel.basic_ack(method.delivery_tag)
    channel.queue_delete("example")
    connection.close()


def refused(attempt, why):
    try:
        attempt()
    except Exception as error:
        assert why in repr(error), repr(error)
    else:
        raise AssertionError("was let in")


def connect(*arguments):
    return lambda: pika.BlockingConnection(parameters(*arguments))


shown = os.path.exists(PAIR)
use(parameters(shown))
if shown:
    use(parameters(True, pika.credentials.ExternalCredentials()))
    refused(connect(True, pika.PlainCredentials("shop", "")), "ACCESS_REFUSED")
    refused(connect(False), "CERTIFICATE_REQUIRED")
refused(lambda: socket.create_connection((os.environ["NODE"], 5672), 10), "ConnectionRefused")
