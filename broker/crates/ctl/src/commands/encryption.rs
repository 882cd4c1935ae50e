//! `encode` (`encrypt_conf_value`), `decode`, `list_ciphers`, `list_hashes`: values of a configuration that are encrypted with a passphrase.
//!
//! No node is asked, and nothing is kept. What is not an argument is read from standard input.

use crate::command::{Command, Output, Scene, number, text};
use crate::options::{Options, Switch};
use crate::problem::{DATA, Problem, UNAVAILABLE};
use erlang::{Cipher, Erlang, Hash, Salts, Sealing};
use link::Term;

use super::{plugins::never, users::ask};

const CONFIGURATION: &str = "Configuration and Environment";
const USAGE: &str = "value passphrase [--cipher <cipher>] [--hash <hash>] [--iterations <iterations>]";

const HOW: &[Switch] = &[text("cipher"), text("hash"), number("iterations")];

const fn sealed(name: &'static str) -> Command {
    Command::new(name, never)
        .help(USAGE, "Encrypts a value of the configuration with a passphrase")
        .takes(0, 2)
        .with(HOW)
        .checked(|options, _| sealing(options).map(|_| ()))
        .banner(|_, _, _| "Encrypting value ...".to_owned())
        .by_itself(encode)
        .under(CONFIGURATION)
}

const fn opened(name: &'static str) -> Command {
    Command::new(name, never)
        .help(USAGE, "Decrypts such a value")
        .takes(0, 2)
        .with(HOW)
        .checked(|options, args| match args {
            [] => Err(Problem::arguments(
                crate::problem::USAGE,
                "not enough arguments: Please provide a value to decode and a passphrase",
            )),
            _ => sealing(options).map(|_| ()),
        })
        .banner(|_, _, _| "Decrypting value...".to_owned())
        .by_itself(decode)
        .under(CONFIGURATION)
}

pub(super) const COMMANDS: &[Command] = &[
    sealed("encode"),
    // The name of RabbitMQ 4.
    sealed("encrypt_conf_value"),
    opened("decode"),
    // The name of RabbitMQ 4.
    opened("decrypt_conf_value"),
    Command::new("list_ciphers", never)
        .help("", "Lists the ciphers that encode and decode know")
        .banner(|_, _, _| "Listing supported ciphers ...".to_owned())
        .by_itself(|scene| {
            scene.begin();
            Ok(words(&Cipher::ALL.map(|(name, _)| name)))
        })
        .in_both()
        .under(CONFIGURATION),
    Command::new("list_hashes", never)
        .help("", "Lists the hashes that encode and decode know")
        .banner(|_, _, _| "Listing supported hash algorithms ...".to_owned())
        .by_itself(|scene| {
            scene.begin();
            Ok(words(&Hash::ALL.map(|(name, _)| name)))
        })
        .in_both()
        .under(CONFIGURATION),
];

fn words(names: &[&str]) -> Output {
    let term = Term::List(names.iter().copied().map(Term::atom).collect());
    let text = crate::format::erlang(&term);
    Output::Value { text, term }
}

/// How it is to be encrypted.
fn sealing(options: &Options) -> Result<Sealing, Problem> {
    let bad = |what: &str| Problem::arguments(DATA, format!("Bad argument: {what}"));
    let mut sealing = Sealing::default();
    if let Some(name) = options.text("cipher") {
        let cipher = name.parse();
        sealing.cipher = cipher.map_err(|_| bad("The requested cipher is not supported."))?;
    }
    if let Some(name) = options.text("hash") {
        sealing.hash = name.parse().map_err(|_| bad("The requested hash is not supported"))?;
    }
    let wrong = || bad("The requested number of iterations is incorrect");
    match options.number("iterations") {
        None => Ok(sealing),
        Some(count) => {
            let count = u64::try_from(count).map_err(|_| wrong())?;
            sealing.iterated(count).map_err(|_| wrong())
        }
    }
}

/// Value and passphrase.
fn given(scene: &Scene<'_>, what: &str) -> Result<(String, String), Problem> {
    let missing = || Problem::error(UNAVAILABLE, "not_enough_args");
    let argument = |place: usize, prompt: &str| match scene.arguments.get(place) {
        Some(given) => Ok(given.clone()),
        None => ask(prompt).filter(|said| !said.is_empty()).ok_or_else(missing),
    };
    Ok((argument(0, what)?, argument(1, "Passphrase: ")?))
}

fn encode(scene: &Scene<'_>) -> Result<Output, Problem> {
    scene.begin();
    let (value, passphrase) = given(scene, "Value to encode: ")?;
    let failed = |_| Problem::error(UNAVAILABLE, "Error during cipher operation");
    let term = erlang::expression(&value).map_err(failed)?;
    let salts = Salts {
        salt: rand::random(),
        iv: rand::random(),
    };
    let sealed = sealing(scene.options)?.seal(&term, &passphrase, salts);
    Ok(Output::Text(format!("{{encrypted,<<\"{sealed}\">>}}")))
}

fn decode(scene: &Scene<'_>) -> Result<Output, Problem> {
    scene.begin();
    let (value, passphrase) = given(scene, "Value to decode: ")?;
    let sealed = value.strip_prefix("encrypted:").unwrap_or(&value);
    let (sealing, sealed) = (sealing(scene.options)?, inside(sealed));
    let opened = sealing
        .open(&sealed, &passphrase)
        .or_else(|why| match sealing == Sealing::default() {
            // What RabbitMQ 4 has encrypted in its own way.
            true => Sealing::of_newer().open(&sealed, &passphrase),
            false => Err(why),
        });
    let term = opened.map_err(|_| {
        let text = "Failed to decrypt the value. Things to check: is the passphrase correct? Are the cipher and hash \
                    algorithms the same as those used for encryption?";
        Problem::error(UNAVAILABLE, text)
    })?;
    Ok(Output::Text(term.to_string()))
}

/// The text of `{encrypted, <<"…">>}`, or what was given without that around it.
fn inside(text: &str) -> String {
    let Ok(Erlang::Tuple(parts)) = erlang::expression(text) else {
        return text.to_owned();
    };
    match parts.as_slice() {
        [Erlang::Atom(kind), Erlang::Text(sealed) | Erlang::Binary(sealed)] if kind == "encrypted" => sealed.clone(),
        _ => text.to_owned(),
    }
}
