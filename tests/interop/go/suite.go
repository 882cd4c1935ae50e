// The broker as amqp091-go sees it. Each test has connections of its own, opened through env and closed after it.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var tests = []test{
	{"every_publish_is_confirmed_in_order", everyPublishIsConfirmedInOrder},
	{"get_returns_messages_in_order_then_says_empty", getReturnsMessagesInOrder},
	{"nack_with_requeue_returns_a_message_to_its_old_place", nackReturnsMessageToItsPlace},
	{"reject_without_requeue_drops_a_message", rejectDropsMessage},
	{"unacknowledged_messages_return_when_their_connection_closes", unackedReturnWithConnection},
	{"prefetch_bounds_what_a_consumer_owes", prefetchBoundsConsumer},
	{"unroutable_mandatory_message_is_returned_before_its_confirm", mandatoryReturn},
	{"exclusive_queue_is_locked_to_its_connection", exclusiveQueueIsLocked},
	{"auto_delete_queue_goes_with_its_last_consumer", autoDeleteQueueGoes},
	{"cancelled_consumer_receives_nothing_more", cancelledConsumer},
	{"deleted_queue_cancels_its_consumer", deletedQueueCancels},
	{"headers_exchange_matches_all_or_any", headersExchange},
	{"exchange_bound_to_an_exchange_passes_messages_on", exchangeToExchange},
	{"rpc_answer_is_found_by_its_correlation_id", rpc},
	{"refused_channel_leaves_its_connection_usable", refusedChannel},
	{"differing_declaration_names_the_argument", differingDeclaration},
	{"unknown_delivery_tag_closes_the_channel", unknownDeliveryTag},
	{"properties_and_headers_arrive_as_sent", propertiesArrive},
	{"bodies_of_every_size_arrive_whole", bodiesArriveWhole},
	{"wrong_password_is_refused", wrongPassword},
	{"metrics_are_as_promtool_wants_them", metricsAreAsPromtoolWantsThem},
}

type env struct {
	url         string
	vhost       string
	connections []*amqp.Connection
}

func newEnv(url string) *env {
	parsed, err := amqp.ParseURI(url)
	if err != nil {
		panic(err)
	}
	return &env{url: url, vhost: parsed.Vhost}
}

func (e *env) close() {
	for _, c := range e.connections {
		c.Close() // a test may have closed it before
	}
}

func (e *env) connection() *amqp.Connection {
	c := value(amqp.Dial(e.url))
	e.connections = append(e.connections, c)
	return c
}

func (e *env) channel() *amqp.Channel { return value(e.connection().Channel()) }

func fresh(kind string) string { return "interop-" + kind + "-" + rand.Text()[:8] }

func exclusiveQueue(ch *amqp.Channel) string {
	return value(ch.QueueDeclare("", false, false, true, false, nil)).Name
}

func publish(ch *amqp.Channel, queue string, bodies ...string) {
	for _, body := range bodies {
		must(ch.PublishWithContext(context.Background(), "", queue, false, false, amqp.Publishing{Body: []byte(body)}), "publish")
	}
}

func get(ch *amqp.Channel, queue string) amqp.Delivery {
	d, ok, err := ch.Get(queue, false)
	must(err, "get")
	if !ok {
		fail("%s is empty", queue)
	}
	return d
}

func isEmpty(ch *amqp.Channel, queue string) bool {
	_, ok, err := ch.Get(queue, false)
	must(err, "get")
	return !ok
}

// hasReady waits for a count of ready messages: a broker may answer the question before it has queued what was published
// on the same channel just before.
func hasReady(ch *amqp.Channel, queue string, count int) {
	found := func() int { return value(ch.QueueDeclarePassive(queue, false, false, false, false, nil)).Messages }
	eventually(func() bool { return found() == count }, fmt.Sprint(count, " messages are ready"))
}

func consume(ch *amqp.Channel, queue, tag string, autoAck bool) <-chan amqp.Delivery {
	return value(ch.Consume(queue, tag, autoAck, false, false, false, nil))
}

func refused(err error, code int, text string) {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) {
		fail("expected %d %s, found %v", code, text, err)
	}
	same(fmt.Sprint(refusal.Code, " ", refusal.Reason), fmt.Sprint(code, " ", text), "refusal")
}

func everyPublishIsConfirmedInOrder(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	must(ch.Confirm(false), "confirm.select")
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 100))
	for range 100 {
		publish(ch, queue, "x")
	}
	for tag := uint64(1); tag <= 100; tag++ {
		same(receive(confirms, "confirm"), amqp.Confirmation{DeliveryTag: tag, Ack: true}, "confirm")
	}
	hasReady(ch, queue, 100)
}

func getReturnsMessagesInOrder(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	publish(ch, queue, "a", "b", "c")
	for i, body := range []string{"a", "b", "c"} {
		d := get(ch, queue)
		same(string(d.Body), body, "body")
		same(d.MessageCount, uint32(2-i), "messages left")
		must(d.Ack(false), "ack")
	}
	same(isEmpty(ch, queue), true, "empty")
}

func nackReturnsMessageToItsPlace(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	publish(ch, queue, "a", "b", "c")
	first, second := get(ch, queue), get(ch, queue)
	must(second.Nack(false, true), "nack")
	must(first.Nack(false, true), "nack")
	for _, expected := range []string{"a true", "b true", "c false"} {
		d := get(ch, queue)
		same(fmt.Sprint(string(d.Body), " ", d.Redelivered), expected, "order and redelivered flag")
	}
}

func rejectDropsMessage(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	publish(ch, queue, "a", "b")
	must(get(ch, queue).Reject(false), "reject")
	must(get(ch, queue).Reject(true), "reject")
	same(string(get(ch, queue).Body), "b", "left")
	same(isEmpty(ch, queue), true, "nothing else")
}

func unackedReturnWithConnection(e *env) {
	ch, name := e.channel(), fresh("shared")
	value(ch.QueueDeclare(name, false, true, false, false, nil))
	publish(ch, name, "a", "b")
	other := e.connection()
	owing := value(other.Channel())
	get(owing, name)
	get(owing, name)
	must(other.Close(), "close")
	hasReady(ch, name, 2)
	d := get(ch, name)
	same(fmt.Sprint(string(d.Body), " ", d.Redelivered), "a true", "first")
	value(ch.QueueDelete(name, false, false, false))
}

func prefetchBoundsConsumer(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	publish(ch, queue, strings.Split("0123456789", "")...)
	must(ch.Qos(3, 0, false), "qos")
	deliveries := consume(ch, queue, "", false)
	first := receive(deliveries, "first")
	receive(deliveries, "second")
	receive(deliveries, "third")
	hasReady(ch, queue, 7)
	must(first.Ack(false), "ack")
	same(string(receive(deliveries, "fourth").Body), "3", "fourth")
	hasReady(ch, queue, 6)
	same(len(deliveries), 0, "deliveries beyond the prefetch")
}

func mandatoryReturn(e *env) {
	ch := e.channel()
	must(ch.Confirm(false), "confirm.select")
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	key := fresh("nowhere")
	message := amqp.Publishing{Body: []byte("lost"), MessageId: "m"}
	confirm := value(ch.PublishWithDeferredConfirmWithContext(context.Background(), "", key, true, false, message))
	returned := receive(returns, "return")
	same(fmt.Sprint(returned.ReplyCode, returned.ReplyText, returned.RoutingKey, string(returned.Body), returned.MessageId),
		fmt.Sprint(uint16(312), "NO_ROUTE", key, "lost", "m"), "returned")
	same(confirm.Wait(), true, "confirmed all the same")
}

func exclusiveQueueIsLocked(e *env) {
	name := fresh("exclusive")
	owner := e.connection()
	value(value(owner.Channel()).QueueDeclare(name, false, false, true, false, nil))
	_, err := e.channel().QueueDeclare(name, false, false, true, false, nil)
	refused(err, 405, fmt.Sprintf("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '%s'. It could be "+
		"originally declared on another connection or the exclusive property value does not match that of the original declaration.", name, e.vhost))
	must(owner.Close(), "close")
	eventually(func() bool { return e.notFound(name) }, "the queue went with its connection")
}

func (e *env) notFound(queue string) bool {
	_, err := e.channel().QueueDeclarePassive(queue, false, false, false, false, nil)
	var refusal *amqp.Error
	return errors.As(err, &refusal) && refusal.Code == 404
}

func autoDeleteQueueGoes(e *env) {
	ch, name := e.channel(), fresh("auto-delete")
	value(ch.QueueDeclare(name, false, true, false, false, nil))
	consume(ch, name, "one", false)
	consume(ch, name, "two", false)
	must(ch.Cancel("one", false), "cancel")
	hasReady(ch, name, 0)
	must(ch.Cancel("two", false), "cancel")
	eventually(func() bool { return e.notFound(name) }, "the queue went with its last consumer")
}

func cancelledConsumer(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	deliveries := consume(ch, queue, "mine", true)
	publish(ch, queue, "a")
	same(string(receive(deliveries, "first").Body), "a", "first")
	must(ch.Cancel("mine", false), "cancel")
	publish(ch, queue, "b")
	hasReady(ch, queue, 1)
	_, open := <-deliveries
	same(open, false, "deliveries after the cancel")
}

func deletedQueueCancels(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	cancelled := ch.NotifyCancel(make(chan string, 1))
	consume(ch, queue, "mine", true)
	value(ch.QueueDelete(queue, false, false, false))
	same(receive(cancelled, "basic.cancel"), "mine", "cancelled")
}

func headersExchange(e *env) {
	ch, exchange := e.channel(), fresh("headers")
	must(ch.ExchangeDeclare(exchange, "headers", false, true, false, false, nil), "exchange.declare")
	all, any := exclusiveQueue(ch), exclusiveQueue(ch)
	for match, queue := range map[string]string{"all": all, "any": any} {
		must(ch.QueueBind(queue, "", exchange, false, amqp.Table{"x-match": match, "kind": "report", "pages": int32(3)}), "bind")
	}
	for body, headers := range map[string]amqp.Table{
		"both": {"kind": "report", "pages": int32(3)}, "one": {"kind": "report", "pages": int32(4)}, "none": {"kind": "letter"},
	} {
		must(ch.PublishWithContext(context.Background(), exchange, "", false, false, amqp.Publishing{Headers: headers, Body: []byte(body)}), "publish")
	}
	hasReady(ch, all, 1)
	same(string(get(ch, all).Body), "both", "matching all")
	hasReady(ch, any, 2)
	same(len(string(get(ch, any).Body)+string(get(ch, any).Body)), len("bothone"), "matching any")
}

func exchangeToExchange(e *env) {
	ch, source, target := e.channel(), fresh("source"), fresh("target")
	must(ch.ExchangeDeclare(source, "topic", false, true, false, false, nil), "exchange.declare")
	must(ch.ExchangeDeclare(target, "fanout", false, true, false, false, nil), "exchange.declare")
	queue := exclusiveQueue(ch)
	must(ch.QueueBind(queue, "", target, false, nil), "queue.bind")
	must(ch.ExchangeBind(target, "a.#", source, false, nil), "exchange.bind")
	for _, key := range []string{"a.b.c", "b.a", "a"} {
		must(ch.PublishWithContext(context.Background(), source, key, false, false, amqp.Publishing{Body: []byte(key)}), "publish")
	}
	same(string(get(ch, queue).Body)+" "+string(get(ch, queue).Body), "a.b.c a", "passed on")
	must(ch.ExchangeUnbind(target, "a.#", source, false, nil), "exchange.unbind")
	same(isEmpty(ch, queue), true, "nothing else")
}

func rpc(e *env) {
	server, client := e.channel(), e.channel()
	name := fresh("rpc")
	value(server.QueueDeclare(name, false, true, false, false, nil))
	go func(requests <-chan amqp.Delivery) {
		for request := range requests {
			reply := amqp.Publishing{CorrelationId: request.CorrelationId, Body: bytes.ToUpper(request.Body)}
			_ = server.PublishWithContext(context.Background(), "", request.ReplyTo, false, false, reply) // the client's deadline tells
			_ = request.Ack(false)
		}
	}(consume(server, name, "", false))
	replies := exclusiveQueue(client)
	answers := consume(client, replies, "", true)
	for _, word := range []string{"one", "two"} {
		request := amqp.Publishing{ReplyTo: replies, CorrelationId: word, Body: []byte(word)}
		must(client.PublishWithContext(context.Background(), "", name, false, false, request), "publish")
	}
	for range 2 {
		answer := receive(answers, "answer")
		same(string(answer.Body), strings.ToUpper(answer.CorrelationId), "answer")
	}
}

func refusedChannel(e *env) {
	connection, name := e.connection(), fresh("none")
	ch := value(connection.Channel())
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	_, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	text := fmt.Sprintf("NOT_FOUND - no queue '%s' in vhost '%s'", name, e.vhost)
	refused(err, 404, text)
	refused(receive(closed, "channel.close"), 404, text)
	ch = value(connection.Channel())
	closed = ch.NotifyClose(make(chan *amqp.Error, 1))
	must(ch.PublishWithContext(context.Background(), name, "k", false, false, amqp.Publishing{}), "publish")
	refused(receive(closed, "channel.close"), 404, fmt.Sprintf("NOT_FOUND - no exchange '%s' in vhost '%s'", name, e.vhost))
	again := value(connection.Channel())
	hasReady(again, exclusiveQueue(again), 0)
}

func differingDeclaration(e *env) {
	ch, name := e.channel(), fresh("plain")
	value(ch.QueueDeclare(name, false, false, true, false, nil))
	_, err := ch.QueueDeclare(name, false, true, true, false, nil)
	refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '%s' in vhost '%s': received 'true' but current is 'false'", name, e.vhost))
}

func unknownDeliveryTag(e *env) {
	ch := e.channel()
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	must(ch.Ack(99, false), "ack")
	refused(receive(closed, "channel.close"), 406, "PRECONDITION_FAILED - unknown delivery tag 99")
}

func propertiesArrive(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	sent := amqp.Publishing{
		Headers: amqp.Table{
			"text": "wörter", "bytes": []byte{0, 255}, "yes": true, "i8": int8(-8), "i16": int16(-16), "i32": int32(-32), "i64": int64(-64),
			"f32": float32(1.5), "f64": 2.5, "time": time.Unix(1700000000, 0), "nothing": nil, "decimal": amqp.Decimal{Scale: 2, Value: 314},
			"list": []any{int32(1), "two"}, "table": amqp.Table{"deep": amqp.Table{"deeper": int32(1)}},
		},
		ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Priority: 7, CorrelationId: "c", ReplyTo: "r",
		Expiration: "60000", MessageId: "m", Timestamp: time.Unix(1700000000, 0), Type: "t", AppId: "a", Body: []byte("body"),
	}
	must(ch.PublishWithContext(context.Background(), "", queue, false, false, sent), "publish")
	d := get(ch, queue)
	found := amqp.Publishing{
		Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
		CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp, Type: d.Type,
		AppId: d.AppId, Body: d.Body,
	}
	same(found, sent, "properties")
}

func bodiesArriveWhole(e *env) {
	ch := e.channel()
	queue := exclusiveQueue(ch)
	for _, size := range []int{0, 1, 131063, 131064, 131065, 262128, 1 << 20} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		publish(ch, queue, body)
		same(string(get(ch, queue).Body) == body, true, fmt.Sprint(size, " bytes"))
	}
}

func wrongPassword(e *env) {
	uri := value(amqp.ParseURI(e.url))
	uri.Password = fresh("wrong")
	_, err := amqp.Dial(uri.String())
	refused(err, 403, "username or password not allowed")
}
