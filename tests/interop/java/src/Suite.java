import static java.nio.charset.StandardCharsets.UTF_8;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.CancelCallback;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Return;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcClientParams;
import com.rabbitmq.client.ShutdownSignalException;
import com.rabbitmq.client.impl.LongStringHelper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** The broker as the Java client sees it. One instance serves one test and closes the connections it opened. */
final class Suite implements AutoCloseable {
    private static final CancelCallback NO_CANCEL = tag -> { };
    private final ConnectionFactory factory = new ConnectionFactory();
    private final List<Connection> connections = new ArrayList<>();

    Suite(String url) throws Exception {
        factory.setUri(url);
        factory.setAutomaticRecoveryEnabled(false);
    }

    static Map<String, Tap.Test> tests() {
        Map<String, Tap.Test> tests = new LinkedHashMap<>();
        tests.put("every_publish_is_confirmed", Suite::everyPublishIsConfirmed);
        tests.put("get_returns_messages_in_order_then_says_empty", Suite::getReturnsMessagesInOrder);
        tests.put("nack_with_requeue_returns_a_message_to_its_old_place", Suite::nackReturnsMessageToItsPlace);
        tests.put("reject_without_requeue_drops_a_message", Suite::rejectDropsMessage);
        tests.put("recover_returns_unacknowledged_messages", Suite::recoverReturns);
        tests.put("prefetch_bounds_what_a_consumer_owes", Suite::prefetchBoundsConsumer);
        tests.put("unroutable_mandatory_message_is_returned", Suite::mandatoryReturn);
        tests.put("exclusive_queue_is_locked_to_its_connection", Suite::exclusiveQueueIsLocked);
        tests.put("exclusive_consumer_keeps_others_out", Suite::exclusiveConsumer);
        tests.put("auto_delete_queue_goes_with_its_last_consumer", Suite::autoDeleteQueueGoes);
        tests.put("cancelled_consumer_receives_nothing_more", Suite::cancelledConsumer);
        tests.put("deleted_queue_cancels_its_consumer", Suite::deletedQueueCancels);
        tests.put("headers_exchange_matches_all_or_any", Suite::headersExchange);
        tests.put("rpc_answer_is_found_by_its_correlation_id", Suite::rpc);
        tests.put("refused_channel_leaves_its_connection_usable", Suite::refusedChannel);
        tests.put("differing_declaration_names_the_argument", Suite::differingDeclaration);
        tests.put("unknown_delivery_tag_closes_the_channel", Suite::unknownDeliveryTag);
        tests.put("properties_and_headers_arrive_as_sent", Suite::propertiesArrive);
        tests.put("bodies_of_every_size_arrive_whole", Suite::bodiesArriveWhole);
        tests.put("wrong_password_is_refused", Suite::wrongPassword);
        return tests;
    }

    @Override
    public void close() {
        connections.forEach(Connection::abort);
    }

    private Connection connection() throws Exception {
        Connection connection = factory.newConnection();
        connections.add(connection);
        return connection;
    }

    private Channel channel() throws Exception {
        return connection().createChannel();
    }

    private static String fresh(String kind) {
        return "interop-" + kind + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    private static String exclusiveQueue(Channel channel) throws IOException {
        return channel.queueDeclare("", false, true, false, null).getQueue();
    }

    private static void publish(Channel channel, String queue, String... bodies) throws IOException {
        for (String body : bodies) {
            channel.basicPublish("", queue, null, body.getBytes(UTF_8));
        }
    }

    private static GetResponse get(Channel channel, String queue) throws IOException {
        GetResponse got = channel.basicGet(queue, false);
        if (got == null) {
            throw new AssertionError(queue + " is empty");
        }
        return got;
    }

    private static String take(Channel channel, String queue) throws IOException {
        GetResponse got = get(channel, queue);
        return new String(got.getBody(), UTF_8) + " " + got.getEnvelope().isRedeliver();
    }

    private static void nothingLeft(Channel channel, String queue) throws IOException {
        Tap.same(channel.basicGet(queue, true), null, "queue is empty");
    }

    /** A broker may answer before it has queued what was published on the same channel just before. */
    private static void hasReady(Channel channel, String queue, long count) throws Exception {
        Tap.eventually(() -> channel.messageCount(queue) == count, count + " messages are ready");
    }

    private static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck, String tag) throws IOException {
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, autoAck, tag, (consumerTag, delivery) -> deliveries.add(delivery), NO_CANCEL);
        return deliveries;
    }

    /** The call, or the channel after it, is closed with exactly this code and text. */
    private static void refused(Channel channel, Tap.Test call, int code, String text) throws Exception {
        ShutdownSignalException signal = null;
        try {
            call.run(null);
            Tap.eventually(() -> !channel.isOpen(), "the channel is closed");
            signal = channel.getCloseReason();
        } catch (AlreadyClosedException closed) {
            signal = closed;
        } catch (IOException refusal) {
            signal = (ShutdownSignalException) refusal.getCause();
        }
        AMQP.Channel.Close close = (AMQP.Channel.Close) signal.getReason();
        Tap.same(close.getReplyCode() + " " + close.getReplyText(), code + " " + text, "refusal");
    }

    private String inVhost() {
        return " in vhost '" + factory.getVirtualHost() + "'";
    }

    private boolean isGone(String queue) throws Exception {
        try {
            channel().queueDeclarePassive(queue);
            return false;
        } catch (IOException refusal) {
            AMQP.Channel.Close close = (AMQP.Channel.Close) ((ShutdownSignalException) refusal.getCause()).getReason();
            return close.getReplyCode() == 404;
        }
    }

    private void everyPublishIsConfirmed() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        channel.confirmSelect();
        for (int number = 1; number <= 100; number++) {
            Tap.same(channel.getNextPublishSeqNo(), (long) number, "sequence number");
            channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, new byte[] {(byte) number});
        }
        channel.waitForConfirmsOrDie(Tap.DEADLINE_SECONDS * 1000);
        hasReady(channel, queue, 100);
    }

    private void getReturnsMessagesInOrder() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        publish(channel, queue, "a", "b", "c");
        int left = 3;
        for (String body : List.of("a", "b", "c")) {
            GetResponse got = get(channel, queue);
            Tap.same(new String(got.getBody(), UTF_8) + got.getMessageCount(), body + --left, "got");
            channel.basicAck(got.getEnvelope().getDeliveryTag(), false);
        }
        nothingLeft(channel, queue);
    }

    private void nackReturnsMessageToItsPlace() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        publish(channel, queue, "a", "b", "c");
        long first = get(channel, queue).getEnvelope().getDeliveryTag();
        long second = get(channel, queue).getEnvelope().getDeliveryTag();
        channel.basicNack(second, false, true);
        channel.basicNack(first, false, true);
        Tap.same(take(channel, queue) + take(channel, queue) + take(channel, queue), "a trueb truec false", "order and redelivered");
    }

    private void rejectDropsMessage() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        publish(channel, queue, "a", "b");
        channel.basicReject(get(channel, queue).getEnvelope().getDeliveryTag(), false);
        channel.basicReject(get(channel, queue).getEnvelope().getDeliveryTag(), true);
        Tap.same(take(channel, queue), "b true", "left");
        nothingLeft(channel, queue);
    }

    private void recoverReturns() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        publish(channel, queue, "a", "b");
        Tap.same(take(channel, queue) + take(channel, queue), "a falseb false", "first time");
        channel.basicRecover(true);
        Tap.same(take(channel, queue) + take(channel, queue), "a trueb true", "second time");
    }

    private void prefetchBoundsConsumer() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        publish(channel, queue, "0123456789".split(""));
        channel.basicQos(3);
        BlockingQueue<Delivery> deliveries = consume(channel, queue, false, "");
        Delivery first = Tap.next(deliveries, "first");
        Tap.next(deliveries, "second");
        Tap.next(deliveries, "third");
        hasReady(channel, queue, 7);
        channel.basicAck(first.getEnvelope().getDeliveryTag(), false);
        Tap.same(new String(Tap.next(deliveries, "fourth").getBody(), UTF_8), "3", "fourth");
        hasReady(channel, queue, 6);
        Tap.same(deliveries.size(), 0, "deliveries beyond the prefetch");
    }

    private void mandatoryReturn() throws Exception {
        Channel channel = channel();
        channel.confirmSelect();
        BlockingQueue<Return> returns = new LinkedBlockingQueue<>();
        channel.addReturnListener(message -> returns.add(message));
        String key = fresh("nowhere");
        channel.basicPublish("", key, true, new AMQP.BasicProperties.Builder().messageId("m").build(), "lost".getBytes(UTF_8));
        Return returned = Tap.next(returns, "return");
        Tap.same(returned.getReplyCode() + returned.getReplyText() + returned.getRoutingKey(), "312NO_ROUTE" + key, "returned");
        Tap.same(new String(returned.getBody(), UTF_8) + returned.getProperties().getMessageId(), "lostm", "returned message");
        channel.waitForConfirmsOrDie(Tap.DEADLINE_SECONDS * 1000);
    }

    private void exclusiveQueueIsLocked() throws Exception {
        String name = fresh("exclusive");
        Connection owner = connection();
        owner.createChannel().queueDeclare(name, false, true, false, null);
        Channel other = channel();
        refused(other, unused -> other.queueDeclare(name, false, true, false, null), 405,
            "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" + name + "'" + inVhost() + ". It could be originally "
            + "declared on another connection or the exclusive property value does not match that of the original declaration.");
        owner.close();
        Tap.eventually(() -> isGone(name), "the queue went with its connection");
    }

    private void exclusiveConsumer() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        channel.basicConsume(queue, true, "mine", false, true, null, (tag, delivery) -> { }, NO_CANCEL);
        Channel other = connections.get(0).createChannel();
        refused(other, unused -> consume(other, queue, true, "yours"), 403,
            "ACCESS_REFUSED - queue '" + queue + "'" + inVhost() + " in exclusive use");
    }

    private void autoDeleteQueueGoes() throws Exception {
        Channel channel = channel();
        String name = fresh("auto-delete");
        channel.queueDeclare(name, false, false, true, null);
        consume(channel, name, true, "one");
        consume(channel, name, true, "two");
        channel.basicCancel("one");
        Tap.same(channel.consumerCount(name), 1L, "consumers left");
        channel.basicCancel("two");
        Tap.eventually(() -> isGone(name), "the queue went with its last consumer");
    }

    private void cancelledConsumer() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        BlockingQueue<Delivery> deliveries = consume(channel, queue, true, "mine");
        publish(channel, queue, "a");
        Tap.same(new String(Tap.next(deliveries, "first").getBody(), UTF_8), "a", "first");
        channel.basicCancel("mine");
        publish(channel, queue, "b");
        hasReady(channel, queue, 1);
        Tap.same(deliveries.size(), 0, "deliveries after the cancel");
    }

    private void deletedQueueCancels() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, true, "mine", (tag, delivery) -> { }, cancelled::add);
        channel.queueDelete(queue);
        Tap.same(Tap.next(cancelled, "basic.cancel"), "mine", "cancelled");
    }

    private void headersExchange() throws Exception {
        Channel channel = channel();
        String exchange = fresh("headers");
        channel.exchangeDeclare(exchange, "headers", false, true, null);
        String all = exclusiveQueue(channel);
        String any = exclusiveQueue(channel);
        channel.queueBind(all, exchange, "", Map.of("x-match", "all", "kind", "report", "pages", 3));
        channel.queueBind(any, exchange, "", Map.of("x-match", "any", "kind", "report", "pages", 3));
        Map<String, Map<String, Object>> letters = new LinkedHashMap<>();
        letters.put("both", Map.of("kind", "report", "pages", 3));
        letters.put("one", Map.of("kind", "report", "pages", 4));
        letters.put("none", Map.of("kind", "letter"));
        for (Map.Entry<String, Map<String, Object>> letter : letters.entrySet()) {
            AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder().headers(letter.getValue()).build();
            channel.basicPublish(exchange, "", properties, letter.getKey().getBytes(UTF_8));
        }
        Tap.same(take(channel, all), "both false", "matching all");
        nothingLeft(channel, all);
        Tap.same(take(channel, any) + take(channel, any), "both falseone false", "matching any");
        nothingLeft(channel, any);
    }

    private void rpc() throws Exception {
        Channel server = channel();
        Channel client = channel();
        String requests = fresh("rpc");
        server.queueDeclare(requests, false, false, true, null);
        server.basicConsume(requests, true, (tag, request) -> {
            AMQP.BasicProperties asked = request.getProperties();
            AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder().correlationId(asked.getCorrelationId()).build();
            byte[] answer = new String(request.getBody(), UTF_8).toUpperCase().getBytes(UTF_8);
            server.basicPublish("", asked.getReplyTo(), properties, answer);
        }, NO_CANCEL);
        String replies = exclusiveQueue(client);
        RpcClientParams parameters = new RpcClientParams().channel(client).exchange("").routingKey(requests)
            .replyTo(replies).timeout((int) Tap.DEADLINE_SECONDS * 1000);
        try (RpcClient caller = new RpcClient(parameters)) {
            for (String word : List.of("one", "two")) {
                Tap.same(caller.stringCall(word), word.toUpperCase(), "answer");
            }
        }
    }

    private void refusedChannel() throws Exception {
        Connection connection = connection();
        String name = fresh("none");
        Channel first = connection.createChannel();
        refused(first, unused -> first.queueDeclarePassive(name), 404, "NOT_FOUND - no queue '" + name + "'" + inVhost());
        Channel second = connection.createChannel();
        refused(second, unused -> second.basicPublish(name, "k", null, new byte[0]), 404, "NOT_FOUND - no exchange '" + name + "'" + inVhost());
        Channel third = connection.createChannel();
        hasReady(third, exclusiveQueue(third), 0);
        Tap.same(connection.isOpen(), true, "connection is open");
    }

    private void differingDeclaration() throws Exception {
        Connection connection = connection();
        String name = fresh("plain");
        connection.createChannel().queueDeclare(name, false, true, false, null);
        Channel other = connection.createChannel();
        refused(other, unused -> other.queueDeclare(name, false, true, true, null), 406,
            "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '" + name + "'" + inVhost() + ": received 'true' but current is 'false'");
        Channel third = connection.createChannel();
        refused(third, unused -> third.exchangeDeclare("amq.direct", "topic", true), 406,
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct'" + inVhost() + ": received 'topic' but current is 'direct'");
    }

    private void unknownDeliveryTag() throws Exception {
        Channel channel = channel();
        refused(channel, unused -> channel.basicAck(99, false), 406, "PRECONDITION_FAILED - unknown delivery tag 99");
    }

    private void propertiesArrive() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        Map<String, Object> headers = new LinkedHashMap<>();
        headers.put("text", LongStringHelper.asLongString("wörter"));
        headers.put("yes", true);
        headers.put("octet", (byte) -8);
        headers.put("short", (short) -16);
        headers.put("int", -32);
        headers.put("long", -64L);
        headers.put("float", 1.5f);
        headers.put("double", 2.5);
        headers.put("decimal", new java.math.BigDecimal("3.14"));
        headers.put("time", new Date(1700000000000L));
        headers.put("nothing", null);
        headers.put("list", List.of(1, true, List.of(3)));
        headers.put("table", Map.of("deep", Map.of("deeper", 1)));
        AMQP.BasicProperties sent = new AMQP.BasicProperties.Builder().contentType("text/plain").contentEncoding("utf-8").headers(headers)
            .deliveryMode(2).priority(7).correlationId("c").replyTo("r").expiration("60000").messageId("m").timestamp(new Date(1700000000000L))
            .type("t").userId(factory.getUsername()).appId("a").clusterId("x").build();
        channel.basicPublish("", queue, sent, "body".getBytes(UTF_8));
        AMQP.BasicProperties found = get(channel, queue).getProps();
        Tap.same(found, sent, "properties");
    }

    private void bodiesArriveWhole() throws Exception {
        Channel channel = channel();
        String queue = exclusiveQueue(channel);
        for (int size : new int[] {0, 1, 131063, 131064, 131065, 262128, 1 << 20}) {
            String body = "0123456789abcdef".repeat(size / 16 + 1).substring(0, size);
            publish(channel, queue, body);
            Tap.same(new String(get(channel, queue).getBody(), UTF_8).equals(body), true, size + " bytes");
        }
    }

    private void wrongPassword() throws Exception {
        factory.setPassword(fresh("wrong"));
        try {
            connection();
        } catch (AuthenticationFailureException refusal) {
            String text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.";
            Tap.same(refusal.getMessage().startsWith(text), true, refusal.getMessage());
            return;
        }
        throw new AssertionError("the wrong password was accepted");
    }
}
