//! What RabbitMQ writes in Erlang's own forms: terms as text and as octets, and values that are encrypted with a passphrase.
//!
//! Knows no setting and no command; reads no clock, no file and no randomness: salts are handed in.

mod octets;
mod pretty;
mod sealed;
mod term;

pub use octets::{NoOctets, from_octets, to_octets, to_octets_compressed};
pub use pretty::Printed;
pub use sealed::{Cipher, Hash, IV_BYTES, NotOpened, Salts, Sealing};
pub use term::{Erlang, NoTerm, expression, read};
