//! Configuration: command line, environment, `rabbitmq.conf` and `conf.d` become one typed [`Config`], once, at start.
//!
//! Only this room knows the syntax (I8). Nothing reads a file of settings or a variable later, and nothing here opens
//! a socket or creates a file.

mod classic;
mod command_line;
mod decoder;
mod definitions;
mod environment;
mod error;
mod formation;
mod journal;
mod keys;
mod load;
mod new_vhosts;
mod node;
mod plugins;
mod reference;
mod renew;
mod rotation;
mod settings;
mod shown;
mod syntax;
mod syslog;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
mod value;
mod variables;

pub use command_line::ServerArgs;
pub use definitions::{StartDefinitions, Url};
#[cfg(test)]
pub use environment::Fixed;
pub use environment::{Environment, Instead, Process};
pub use error::{Origin, Problem, Problems};
pub use formation::{Discovery, Formation, NodeType};
pub use journal::{Fields as JournalFields, Journal, Source as JournalSource};
pub use keys::LOG_CATEGORIES;
pub use load::{Loaded, enabled_plugins_file, load, variables_of_file};
pub use new_vhosts::{DefaultLimits, DefaultPolicy, DefaultUser, NewVhosts, is_meant};
pub use node::{DataDirectory, NodeName};
pub use plugins::Plugins;
pub use reference::page as reference_page;
pub use renew::Renewed;
pub use rotation::{Rotation, RotationDate};
pub use settings::{
    Access, Amqp, BetweenNodes, CertificateName, Config, Console, CredentialValidator, DefaultQueueType, FileTarget,
    HttpBounds, LeaderLocator, LevelFormat, Listener, Listeners, Log, LogExchange, LogFile, LogFormat, LogLevel,
    LogShape, Management, Mechanism, NameService, Node, PasswordHashing, Prometheus, Queues, RatesMode, Resources,
    SanType, SocketOptions, Stream, TimeFormat, TlsOptions, TlsVersion, Verify,
};
pub use shown::{Interceptors, Shown};
pub use syslog::{Syslog, SyslogProtocol, SyslogTransport};
pub use value::{ByteSize, Limit, ListenAddress, Milliseconds, Pattern, Secret, Share, Value, Watermark};
