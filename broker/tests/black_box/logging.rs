//! Log lines as RabbitMQ writes them: what parses its log reads ours.

use crate::broker::{Broker, PATIENCE, connect, soon};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::{fs, path::Path, process::Command, time::Instant};

/// Waits until a text is as wanted, and returns it.
async fn until(what: &str, read: impl Fn() -> String, is_wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = read();
        if is_wanted(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "in vain: {what}\n{text}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A client that names itself, and the name that the broker gives it.
async fn named_client(broker: &Broker) -> Connection {
    let url = format!("amqp://guest:guest@{}/%2f", broker.amqp);
    let properties = ConnectionProperties::default().with_connection_name("my app".into());
    soon(Connection::connect(&url, properties)).await.unwrap()
}

/// The channel of this connection dies of a queue that is not there.
async fn fail_on_channel(connection: &Connection) {
    let channel = connection.create_channel().await.unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let refused = channel
        .queue_declare("missing".into(), passive, FieldTable::default())
        .await;
    assert!(refused.is_err());
}

/// A line without what differs from run to run: date, process and addresses. Panics if it has not that shape.
fn shape(line: &str) -> String {
    let (time, rest) = line.split_once(" [").unwrap_or_else(|| panic!("no level: {line}"));
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "0000-00-00 00:00:00.000000+00:00", "{line}");
    let (level, rest) = rest.split_once("] <").unwrap_or_else(|| panic!("no process: {line}"));
    let (pid, text) = rest.split_once("> ").unwrap_or_else(|| panic!("no text: {line}"));
    let parts: Vec<&str> = pid.split('.').collect();
    assert!(
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok()),
        "{line}"
    );
    let mut text = text.to_owned();
    while let Some((before, after)) = text.split_once("127.0.0.1:") {
        let port = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        text = format!("{before}HOST{}", &after[port..]);
    }
    if let Some((before, after)) = text.split_once('<') {
        let (_, after) = after.split_once('>').unwrap_or_else(|| panic!("no process: {line}"));
        text = format!("{before}PID{after}");
    }
    format!("{level}: {text}")
}

/// The shapes of the lines about a client's life.
fn shapes(text: &str) -> Vec<String> {
    let of_clients = |line: &&str| line.contains("connection") || line.contains("operation") || line.contains("login");
    text.lines().filter(of_clients).map(shape).collect()
}

#[tokio::test]
async fn no_password_is_in_the_log_however_much_that_tells() {
    let secrets = ["first-s3cret", "second-s3cret", "guessed-s3cret"];
    let broker = Broker::start("log.default.level = debug\ndefault_pass = first-s3cret\n");
    broker.ctl(&["add_user", "bob", secrets[0]]);
    broker.ctl(&["change_password", "bob", secrets[1]]);
    assert!(connect(broker.amqp, "bob:guessed-s3cret@").await.is_err());
    let refused = |log: &str| log.contains("user 'bob' - invalid credentials");
    let log = until("bob is refused", || broker.log(), refused).await;
    for secret in secrets {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn the_life_of_a_connection_is_logged_in_rabbitmqs_words() {
    let broker = Broker::start("");
    let connection = named_client(&broker).await;
    fail_on_channel(&connection).await;
    connection.close(200, "bye".into()).await.unwrap();
    let closed = |count| move |log: &str| log.matches("closing AMQP connection").count() == count;
    // A client hears of it before the line is written.
    until("the first is closed", || broker.log(), closed(1)).await;
    assert!(connect(broker.amqp, "guest:wrong@").await.is_err());
    let log = until("both are closed", || broker.log(), closed(2)).await;
    let expected = [
        "info: accepting AMQP connection PID (HOST -> HOST)",
        "info: connection PID (HOST -> HOST) has a client-provided name: my app",
        "info: connection PID (HOST -> HOST - my app): user 'guest' authenticated and granted access to vhost '/'",
        "error: Channel error on connection PID (HOST -> HOST - my app, vhost: '/', user: 'guest'), channel 1:",
        "error: operation queue.declare caused a channel exception not_found: no queue 'missing' in vhost '/'",
        "info: closing AMQP connection PID (HOST -> HOST - my app, vhost: '/', user: 'guest')",
        "info: accepting AMQP connection PID (HOST -> HOST)",
        "error: Error on AMQP connection PID (HOST -> HOST, state: starting):",
        "error: PLAIN login refused: user 'guest' - invalid credentials",
        "info: closing AMQP connection PID (HOST -> HOST)",
    ];
    assert_eq!(shapes(&log), expected, "{log}");
    assert!(!log.contains("wrong"), "the password is in the log: {log}");
}

#[tokio::test]
async fn a_client_that_vanishes_is_told_from_one_that_only_looked() {
    let broker = Broker::start("");
    drop(std::net::TcpStream::connect(broker.amqp).unwrap());
    let mut socket = std::net::TcpStream::connect(broker.amqp).unwrap();
    std::io::Write::write_all(&mut socket, b"GET / HT").unwrap();
    until(
        "the second is refused",
        || broker.log(),
        |log| log.contains("bad_header"),
    )
    .await;
    let mut socket = std::net::TcpStream::connect(broker.amqp).unwrap();
    std::io::Write::write_all(&mut socket, b"AMQP\x00\x00\x09\x01").unwrap();
    std::io::Read::read_exact(&mut socket, &mut [0; 8]).unwrap();
    drop(socket);
    let log = until(
        "the third is missed",
        || broker.log(),
        |log| log.contains("unexpectedly"),
    )
    .await;
    let lines: Vec<String> = log
        .lines()
        .skip_while(|line| !line.contains("accepting"))
        // Said some time after the start.
        .filter(|line| !line.contains("leads the definitions"))
        .map(shape)
        .collect();
    let expected = [
        "info: accepting AMQP connection PID (HOST -> HOST)",
        "error: closing AMQP connection PID (HOST -> HOST):",
        "error: {bad_header,PID>}",
        "info: accepting AMQP connection PID (HOST -> HOST)",
        "warning: closing AMQP connection PID (HOST -> HOST):",
        "warning: client unexpectedly closed TCP connection",
    ];
    assert_eq!(lines, expected, "{log}");
}

#[tokio::test]
async fn a_category_has_a_level_of_its_own_and_json_lines_have_rabbitmqs_fields() {
    let settings = "log.connection.level = error\nlog.console.formatter = json\n\
                    log.console.formatter.json.field_map = msg:message *:*";
    let broker = Broker::start(settings);
    let connection = named_client(&broker).await;
    fail_on_channel(&connection).await;
    connection.close(200, "bye".into()).await.unwrap();
    let log = until(
        "the channel's end is logged",
        || broker.log(),
        |log| log.contains("missing"),
    )
    .await;
    assert!(!log.contains("accepting") && !log.contains("authenticated"), "{log}");
    let line = log.lines().find(|line| line.contains("missing")).unwrap();
    for member in [
        "{\"time\":\"20",
        "\"level\":\"error\"",
        "\"message\":\"Channel error on connection <0.",
        "channel 1:\\noperation queue.declare caused",
        "\"domain\":\"rabbitmq.channel\"",
        "\"pid\":\"<0.",
    ] {
        assert!(line.contains(member), "{member} in {line}");
    }
}

#[tokio::test]
async fn log_lines_are_messages_of_an_exchange_by_their_level() {
    let broker = Broker::start("log.exchange = true\nlog.exchange.level = error");
    until(
        "the exchange is there",
        || broker.log(),
        |log| log.contains("amq.rabbitmq.log"),
    )
    .await;
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let exclusive = QueueDeclareOptions::exclusive();
    channel
        .queue_declare("lines".into(), exclusive, FieldTable::default())
        .await
        .unwrap();
    let (queue, exchange) = ("lines".into(), "amq.rabbitmq.log".into());
    channel
        .queue_bind(
            queue,
            exchange,
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    fail_on_channel(&connection).await;
    let deadline = Instant::now() + PATIENCE;
    let message = loop {
        let options = BasicGetOptions { no_ack: true };
        match channel.basic_get("lines".into(), options).await.unwrap() {
            Some(got) => break got.delivery,
            None => assert!(Instant::now() < deadline, "no line came: {}", broker.log()),
        }
    };
    assert_eq!(message.routing_key.as_str(), "error");
    let properties = &message.properties;
    assert_eq!(
        properties.content_type().as_ref().map(|t| t.as_str()),
        Some("text/plain")
    );
    assert!(properties.timestamp().is_some());
    let node = properties
        .headers()
        .as_ref()
        .and_then(|table| table.inner().get("node"));
    assert_eq!(node, Some(&AMQPValue::LongString("rabbit@localhost".into())));
    let body = String::from_utf8(message.data).unwrap();
    let expected = [
        "error: Channel error on connection PID (HOST -> HOST, vhost: '/', user: 'guest'), channel 2:",
        "error: operation queue.declare caused a channel exception not_found: no queue 'missing' in vhost '/'",
    ];
    assert_eq!(shapes(&body), expected);
}

#[tokio::test]
async fn a_log_file_is_put_aside_by_size_and_opened_again_after_sighup() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("logs");
    let settings = format!(
        "log.dir = {}\nlog.file = a.log\nlog.file.rotation.size = 2000\nlog.file.rotation.count = 2",
        folder.display()
    );
    let broker = Broker::start_in(directory, &settings);
    let names = || {
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    let deadline = Instant::now() + PATIENCE;
    while names() != "a.log a.log.0 a.log.1" {
        assert!(Instant::now() < deadline, "{}", names());
        let connection = broker.connect().await;
        connection.close(200, "bye".into()).await.unwrap();
    }
    fs::rename(folder.join("a.log"), folder.join("moved")).unwrap();
    let killed = Command::new("kill").args(["-HUP", &broker.pid().to_string()]).status();
    assert!(killed.unwrap().success());
    let read = || fs::read_to_string(folder.join("a.log")).unwrap_or_default();
    until("the file is begun anew", read, |text| text.contains("SIGHUP")).await;
}

#[tokio::test]
async fn what_cannot_be_done_with_log_lines_is_refused_by_name() {
    let mut broker = Broker::start("");
    broker.stop();
    let conf = broker.directory().join("rabbitmq.conf");
    let before = fs::read_to_string(&conf).unwrap();
    let without_journal = !Path::new("/run/systemd/journal/socket").exists();
    let journald = without_journal.then_some(("log.journald = true", "set log.journald = false"));
    for (setting, word) in journald.into_iter().chain([
        ("log.journald.fields = MESSAGE=x", "log.journald.fields"),
        ("log.file.rotation.date = monday", "$D0"),
        ("log.console.formatter.time_format = iso", "rfc3339_space"),
    ]) {
        fs::write(&conf, format!("{before}{setting}\n")).unwrap();
        let said = broker.fails_to_start();
        assert!(said.contains(word), "{setting}: {said}");
    }
}
