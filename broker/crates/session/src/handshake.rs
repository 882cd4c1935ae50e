//! From protocol header to `connection.open-ok`: version, log-in, tuning, virtual host.
//!
//! Before `connection.open` a client that errs is told nothing: three seconds of silence, then the socket closes,
//! as RabbitMQ does. Two exceptions: a foreign protocol header is answered with ours, and a refused log-in with
//! `connection.close` if the client announced `authentication_failure_close`.

use model::{Refusal, ReplyCode, Table};
use wire::{AMQPClass, connection, connection::AMQPMethod};
use wire::{Frame, Kind, Opening};

use crate::{
    Answer, Ask, Connection, Host, LoginOutcome, Note, Step, Tuned, close,
    connection::{Progress, Stage},
    credentials,
    replies::Pending,
};

/// What a handshake waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Header,
    StartOk,
    TuneOk,
    Open,
}

impl Connection {
    pub(crate) fn on_protocol_header<H: Host>(&mut self, buf: &[u8], host: &mut H) -> (usize, Progress) {
        match wire::protocol_header(buf) {
            Opening::NeedMore => (0, Progress::Next),
            Opening::Refused => {
                host.note(Note::BadHeader {
                    seen: &buf[..buf.len().min(8)],
                });
                host.out().extend_from_slice(&wire::ANSWER);
                (buf.len(), Progress::Stop(Step::Close))
            }
            Opening::Accepted(version) => {
                self.write_start(version.announced(), host.out());
                self.stage = Stage::Handshake(Handshake::StartOk);
                (wire::ANSWER.len(), Progress::Next)
            }
        }
    }

    fn write_start(&self, (version_major, version_minor): (u8, u8), out: &mut Vec<u8>) {
        let start = connection::Start {
            version_major,
            version_minor,
            // Our own properties: short keys and plain values always fit.
            server_properties: wire::to_field_table(&self.limits.server_properties).unwrap_or_default(),
            mechanisms: self.limits.mechanisms.as_str().into(),
            locales: "en_US".into(),
        };
        wire::method(out, 0, AMQPClass::Connection(AMQPMethod::Start(start)));
    }

    pub(crate) fn on_handshake_frame<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        if let Stage::Handshake(Handshake::Open) = self.stage
            && frame.channel != 0
        {
            return self.refuse_early(&wire::unexpected_frame(&frame), (0, 0), host);
        }
        match self.shake(frame, host) {
            Ok(progress) => progress,
            Err(reason) => {
                let refusal = Refusal::connection(ReplyCode::CommandInvalid, reason);
                Progress::Stop(self.fail(0, refusal, (0, 0), true, host))
            }
        }
    }

    /// One frame of the handshake; the error is a sentence for the log.
    fn shake<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Result<Progress, String> {
        if frame.kind != Kind::Method || frame.channel != 0 {
            return Err("expected a method on channel 0".into());
        }
        let method = wire::decode_method(frame.payload).map_err(|e| e.refusal().to_string())?;
        let wire::Method::Other(AMQPClass::Connection(method)) = method else {
            return Err("expected a method of class connection".into());
        };
        let Stage::Handshake(stage) = self.stage else {
            return Err("no handshake is going on".into());
        };
        match (stage, method) {
            (Handshake::StartOk, AMQPMethod::StartOk(ok)) => self.on_start_ok(ok),
            (Handshake::TuneOk, AMQPMethod::TuneOk(ok)) => self.on_tune_ok(&ok),
            (Handshake::Open, AMQPMethod::Open(open)) => {
                self.pending = Some(Pending::EnterVhost);
                Ok(Progress::Stop(Step::Ask(Ask::EnterVhost(
                    open.virtual_host.to_string(),
                ))))
            }
            (_, AMQPMethod::Close(_)) => {
                crate::replies::write_connection_close_ok(host.out());
                Ok(Progress::Stop(self.await_end()))
            }
            (stage, _) => Err(format!("method out of order: {stage:?}")),
        }
    }

    fn on_start_ok(&mut self, ok: connection::StartOk) -> Result<Progress, String> {
        let mechanism = ok.mechanism.as_str();
        if !self.limits.mechanisms.split(' ').any(|offered| offered == mechanism) {
            return Err(format!("unknown authentication mechanism '{mechanism}'"));
        }
        let credentials = credentials::parse(mechanism, ok.response.as_bytes())?;
        self.client_properties = wire::from_field_table(&ok.client_properties);
        self.pending = Some(Pending::LogIn {
            mechanism: mechanism.to_owned(),
        });
        let client_properties = self.client_properties.clone();
        Ok(Progress::Stop(Step::Ask(Ask::LogIn {
            mechanism: mechanism.to_owned(),
            credentials,
            client_properties,
        })))
    }

    pub(crate) fn on_login_answer<H: Host>(&mut self, mechanism: &str, answer: Answer, host: &mut H) -> Progress {
        match answer {
            Answer::LoggedIn(LoginOutcome { user, impersonator }) => {
                self.user = user;
                self.impersonator = impersonator;
                self.write_tune(host.out());
                self.stage = Stage::Handshake(Handshake::TuneOk);
                Progress::Next
            }
            Answer::LoginFailed { reason } => self.on_login_failed(mechanism, &reason, host),
            other => unreachable!("answer to a log-in: {other:?}"),
        }
    }

    fn on_login_failed<H: Host>(&mut self, mechanism: &str, reason: &str, host: &mut H) -> Progress {
        host.note(Note::LoginRefused { mechanism, reason });
        if self.client_can("authentication_failure_close") {
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            );
            let refusal = Refusal::connection(ReplyCode::AccessRefused, text);
            close::write_connection_close(host.out(), &refusal, (0, 0));
        }
        self.stage = Stage::Closing;
        Progress::Stop(Step::Linger {
            patience: close::SILENCE,
            deaf: false,
        })
    }

    fn write_tune(&self, out: &mut Vec<u8>) {
        let tune = connection::Tune {
            channel_max: self.limits.channel_max,
            frame_max: self.limits.frame_max,
            heartbeat: self.limits.heartbeat,
        };
        wire::method(out, 0, AMQPClass::Connection(AMQPMethod::Tune(tune)));
    }

    fn on_tune_ok(&mut self, ok: &connection::TuneOk) -> Result<Progress, String> {
        negotiated("frame_max", ok.frame_max, 4096, self.limits.frame_max)?;
        negotiated("channel_max", ok.channel_max.into(), 1, self.limits.channel_max.into())?;
        self.tuned = Tuned {
            frame_max: ok.frame_max,
            channel_max: ok.channel_max,
            heartbeat: ok.heartbeat,
        };
        self.stage = Stage::Handshake(Handshake::Open);
        Ok(Progress::Next)
    }

    /// Once tuned, a client is told why it may not go on.
    fn refuse_early<H: Host>(&mut self, refusal: &Refusal, method: (u16, u16), host: &mut H) -> Progress {
        host.note(Note::NotOpened { refusal });
        close::write_connection_close(host.out(), refusal, method);
        self.stage = Stage::Closing;
        Progress::Stop(Step::Linger {
            patience: close::patience(self.tuned.heartbeat),
            deaf: false,
        })
    }

    pub(crate) fn on_vhost_answer<H: Host>(&mut self, answer: Answer, host: &mut H) -> Progress {
        match answer {
            Answer::Refused(refusal) => self.refuse_early(&refusal, (10, 40), host),
            _ => {
                let ok = AMQPMethod::OpenOk(connection::OpenOk {});
                wire::method(host.out(), 0, AMQPClass::Connection(ok));
                self.stage = Stage::Open;
                Progress::Next
            }
        }
    }
}

/// RabbitMQ's rule for one tuning value: within our limits, and 0 (no limit) only if ours is 0.
fn negotiated(what: &str, client: u32, minimum: u32, server: u32) -> Result<(), String> {
    if client != 0 && client < minimum {
        Err(format!(
            "negotiated {what} = {client} is lower than the minimum allowed value ({minimum})"
        ))
    } else if server != 0 && (client == 0 || client > server) {
        Err(format!(
            "negotiated {what} = {client} is higher than the maximum allowed value ({server})"
        ))
    } else {
        Ok(())
    }
}

/// The capabilities that this server announces, all true.
pub fn server_capabilities() -> Table {
    let names = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    Table(
        names
            .iter()
            .map(|name| ((*name).to_owned(), model::Value::Bool(true)))
            .collect(),
    )
}
