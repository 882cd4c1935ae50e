//! Log lines that go to a syslog server: where it is, and how it is spoken to.
//!
//! However it is spoken to, a server that is slow or away never holds the node up.

use super::settings::{LogLevel, LogShape, TlsOptions};
use super::value::words;

/// Log lines for a syslog server.
#[derive(Clone, Debug, Default)]
pub struct Syslog {
    /// Whether lines go there.
    pub is_on: bool,
    /// Host name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How messages travel.
    pub transport: SyslogTransport,
    /// What a server behind TLS is checked against.
    pub tls: TlsOptions,
    /// As what messages are shaped.
    pub protocol: SyslogProtocol,
    /// What the node is called there.
    pub identity: String,
    /// Which kind of program it is.
    pub facility: Facility,
    /// Least level; none is the category's own.
    pub level: Option<LogLevel>,
    /// Shape of a line.
    pub shape: LogShape,
}

words! {
    /// How messages travel.
    SyslogTransport {
        /// One datagram a message.
        Udp = "udp",
        /// Over one connection.
        Tcp = "tcp",
        /// Over one connection behind TLS.
        Tls = "tls",
    }
}

words! {
    /// As what messages are shaped.
    SyslogProtocol {
        /// The older way.
        Rfc3164 = "rfc3164",
        /// The newer one.
        Rfc5424 = "rfc5424",
    }
}

words! {
    /// Which kind of program speaks.
    Facility {
        /// The kernel.
        Kern = "kern",
        /// Programs of users.
        User = "user",
        /// Mail.
        Mail = "mail",
        /// Services.
        Daemon = "daemon",
        /// Log-ins.
        Auth = "auth",
        /// The log itself.
        Syslog = "syslog",
        /// Printers.
        Lpr = "lpr",
        /// News.
        News = "news",
        /// Old networks.
        Uucp = "uucp",
        /// Programs by the clock.
        Cron = "cron",
        /// Log-ins, privately.
        AuthPriv = "authpriv",
        /// File transfers.
        Ftp = "ftp",
        /// For whatever is agreed on.
        Local0 = "local0",
        /// The same.
        Local1 = "local1",
        /// The same.
        Local2 = "local2",
        /// The same.
        Local3 = "local3",
        /// The same.
        Local4 = "local4",
        /// The same.
        Local5 = "local5",
        /// The same.
        Local6 = "local6",
        /// The same.
        Local7 = "local7",
    }
}

impl Facility {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Facility::Kern => 0,
            Facility::User => 1,
            Facility::Mail => 2,
            Facility::Daemon => 3,
            Facility::Auth => 4,
            Facility::Syslog => 5,
            Facility::Lpr => 6,
            Facility::News => 7,
            Facility::Uucp => 8,
            Facility::Cron => 9,
            Facility::AuthPriv => 10,
            Facility::Ftp => 11,
            Facility::Local0 => 16,
            Facility::Local1 => 17,
            Facility::Local2 => 18,
            Facility::Local3 => 19,
            Facility::Local4 => 20,
            Facility::Local5 => 21,
            Facility::Local6 => 22,
            Facility::Local7 => 23,
        }
    }
}
