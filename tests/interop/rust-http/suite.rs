//! Runs the client's tests one after the other, each as a process of its own, as the client's authors do, and reports them (the Test Anything
//! Protocol). It makes what the client's own preparation makes with rabbitmqctl, and holds every failure against lacking.txt. What a test
//! asserts is the client's: a test that is not on the list must pass, one that is listed must fail with the words that stand there.

use rabbitmq_http_client::blocking_api::Client;
use rabbitmq_http_client::password_hashing;
use rabbitmq_http_client::requests::{Permissions, UserParams, VirtualHostParams};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::{env, fs};

/// The virtual host that the tests expect, beside the one that every broker has.
const SECOND_VHOST: &str = "rust/http/api/client";

/// The user that the tests expect beside `guest`; its password as well.
const SECOND_USER: &str = "rust3";

/// Tests that make their cases up make the same ones in every run.
const SEED: &str = "1";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let directory = PathBuf::from(env::current_exe()?.parent().ok_or("a program is in a directory")?);
    let endpoint = broker::endpoint();
    let client = Client::new(endpoint.as_str(), "guest", "guest");
    furnish(&client)?;
    let list = fs::read_to_string(directory.join("lacking.txt"))?;
    let mut lacking = Lacking::of(&list, &client.overview()?.product_name)?;
    let tests = Tests(directory.join("tests"));
    let names = tests.names()?;
    println!("1..{}", names.len() + 1);
    let mut whole = true;
    for (number, name) in names.iter().enumerate() {
        let failure = lacking.judge(name, tests.failure(name)?);
        whole &= failure.is_none();
        report(number + 1, name, failure);
    }
    let unknown = lacking.unknown();
    whole &= unknown.is_none();
    clear(&client)?;
    report(names.len() + 1, "every test on lacking.txt exists", unknown);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(number: usize, name: &str, failure: Option<String>) {
    match failure {
        None => println!("ok {number} - {name}"),
        Some(reason) => println!("not ok {number} - {name} # {reason}"),
    }
}

/// Makes what the client's own preparation makes.
fn furnish(client: &Client<&str, &str, &str>) -> Result<(), Box<dyn Error>> {
    let hash = password_hashing::base64_encoded_salted_password_hash_sha256(&password_hashing::salt(), SECOND_USER);
    client.create_user(&UserParams::new(SECOND_USER, &hash, ""))?;
    client.create_vhost(&VirtualHostParams::named(SECOND_VHOST))?;
    client.declare_permissions(&Permissions::full_access(SECOND_USER, "/"))?;
    client.declare_permissions(&Permissions::full_access("guest", SECOND_VHOST))?;
    Ok(client.set_cluster_name("rabbitmq@localhost")?)
}

/// Takes away what [`furnish`] has made, as far as the tests have left it.
fn clear(client: &Client<&str, &str, &str>) -> Result<(), Box<dyn Error>> {
    client.delete_user(SECOND_USER, true)?;
    Ok(client.delete_vhost(SECOND_VHOST, true)?)
}

/// The program that the client's tests are compiled to.
struct Tests(PathBuf);

impl Tests {
    /// Every test, in its order.
    fn names(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let output = self.run(&["--list", "--format", "terse"])?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text
            .lines()
            .filter_map(|line| Some(line.strip_suffix(": test")?.to_owned()))
            .collect())
    }

    /// What a test says when it fails, on one line; `None` if it passes.
    fn failure(&self, name: &str) -> Result<Option<String>, Box<dyn Error>> {
        let output = self.run(&["--exact", name])?;
        let text = String::from_utf8_lossy(&output.stdout);
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() && text.contains("test result: ok. 1 passed;") {
            return Ok(None);
        }
        let said = text.split_once(" stdout ----").map_or(&*text, |(_, said)| said);
        let said = said.split_once("\nnote: ").map_or(said, |(said, _)| said);
        // The client's errors hold the stack of the program; what the broker answered stands before it.
        let said = said.split_once(", backtrace:").map_or(said, |(said, _)| said);
        Ok(Some(said.split_whitespace().collect::<Vec<_>>().join(" ")))
    }

    fn run(&self, arguments: &[&str]) -> std::io::Result<Output> {
        let mut command = Command::new(&self.0);
        command.args(arguments).stdin(Stdio::null());
        command
            .env("RUST_BACKTRACE", "0")
            .env("PROPTEST_RNG_SEED", SEED)
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        if let Some(wait) = env::var("STATISTICS_WAIT")
            .ok()
            .as_deref()
            .and_then(|wait| wait.strip_suffix("ms"))
        {
            command.env("TEST_STATS_DELAY", wait);
        }
        command.output()
    }
}

/// The tests that cannot pass on this broker, by name, each with the words it must fail with.
struct Lacking<'a>(BTreeMap<&'a str, Listed<'a>>);

/// A line of the list.
struct Listed<'a> {
    /// It names the broker that is here.
    here: bool,
    words: &'a str,
    seen: bool,
}

impl<'a> Lacking<'a> {
    fn of(list: &'a str, product: &str) -> Result<Self, String> {
        let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entry = |line: &'a str| {
            let fields: Vec<_> = line.splitn(3, " # ").collect();
            let [name, products, words] = fields[..] else {
                return Err(format!("not a line of lacking.txt: {line}"));
            };
            let here = products.split(", ").any(|one| one == product);
            Ok((
                name,
                Listed {
                    here,
                    words,
                    seen: false,
                },
            ))
        };
        lines.map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// What is wrong with how a test ended.
    fn judge(&mut self, name: &str, failure: Option<String>) -> Option<String> {
        let listed = self.0.get_mut(name).map(|listed| {
            listed.seen = true;
            &*listed
        });
        match (listed.filter(|listed| listed.here), failure) {
            (Some(_), None) => Some("it passes; take it off lacking.txt".to_owned()),
            (Some(listed), Some(said)) if listed.words.split(" | ").any(|words| said.contains(words)) => None,
            (_, failure) => failure,
        }
    }

    /// Names on the list that are no tests: they would let tests go unnoticed.
    fn unknown(&self) -> Option<String> {
        let unknown = self.0.iter().filter(|(_, listed)| !listed.seen);
        let names: Vec<_> = unknown.map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| format!("not tests: {}", names.join(", ")))
    }
}
