# One image for broker and operator, from nothing: two static binaries, no shell, no root.
#
#   docker build -t localhost/warren:dev .        builds all of it, compiler included
#   make image                                    the same file, with the binaries compiled by this machine's cargo:
#                                                 --build-context build=DIR puts DIR in the place of the stage "build"

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    hack/binaries /

FROM scratch
LABEL org.opencontainers.image.title="Warren" \
      org.opencontainers.image.description="RabbitMQ-compatible message broker and its Kubernetes operator" \
      org.opencontainers.image.licenses="Apache-2.0"
# Users, the links under which the one binary is RabbitMQ's commands, and the configuration, in which the broker may enable plugins.
COPY image/etc/passwd image/etc/group /etc/
COPY image/usr/ /usr/
COPY --chown=999:999 image/etc/rabbitmq/ /etc/rabbitmq/
COPY --from=build /warren /warren-operator /usr/bin/
# Writable for whatever user the container is run as, as in the official image.
COPY --from=build --chown=999:999 /data/ /var/lib/
ENV HOME=/var/lib/rabbitmq PATH=/usr/bin RABBITMQ_LOGS=-
USER 999:999
VOLUME /var/lib/rabbitmq
# AMQP, management, probes and administration
EXPOSE 5672 15672 15680
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/warren"]
CMD ["server"]
