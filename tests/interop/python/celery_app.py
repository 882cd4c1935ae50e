"""The Celery application whose worker the suite starts; queue and broker come from the environment."""
import os
import time

from celery import Celery

app = Celery("interop", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    task_default_queue=os.environ["CELERY_QUEUE"],
    task_acks_late=True,
    worker_prefetch_multiplier=2,
    broker_connection_retry_on_startup=False,
    broker_transport_options={"confirm_publish": True},
    result_expires=60,
)


@app.task
def add(a, b):
    return a + b


@app.task
def wait_for(path):
    """Occupies its process until the file exists, then says so."""
    while not os.path.exists(path):
        time.sleep(0.02)
    return os.path.basename(path)
