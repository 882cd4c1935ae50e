//! One call: read the line, settle who is asked, ask, and say what came of it.

use crate::help;
use crate::options::Line;
use crate::problem::Problem;
use crate::request::{self, Request};
use crate::settings::Settings;
use crate::show;
use crate::wire::ask;
use crate::words::{Shape, WORDS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the tool with its arguments, the tool's own name left out. `version` is the broker's.
pub fn main(arguments: &[String], version: &str) -> ExitCode {
    match run(arguments, version) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            complain(&problem.text(crate::NAME));
            ExitCode::from(problem.exit())
        }
    }
}

/// Where nobody reads the text, the exit code tells as much.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run(arguments: &[String], version: &str) -> Result<(), Problem> {
    let line = Line::read(arguments)?;
    let page = match () {
        () if line.has("help") => help::overview(),
        () if line.has("version") => format!("{} {version}", crate::NAME),
        () if line.has("bash_completion") => help::completion(),
        () => return perform(&line),
    };
    tell!("{page}");
    Ok(())
}

fn perform(line: &Line) -> Result<(), Problem> {
    let home = std::env::var_os("USERPROFILE")
        .or_else(|| std::env::var_os("HOME"))
        .map(PathBuf::from);
    let run = Run(Settings::of(line, home.as_deref())?);
    let Some((verb, words)) = line.words.split_first() else {
        return Err(Problem::Usage("Action not specified".into()));
    };
    match verb.as_str() {
        "help" => explain(words),
        "list" => run.list(words),
        "show" => run.show(words),
        "declare" => run.declare(words),
        "delete" => run.remove(&WORDS.delete, words, "deleted"),
        "close" => run.remove(&WORDS.close, words, "closed"),
        "purge" => run.remove(&WORDS.purge, words, "purged"),
        "publish" => run.publish(words),
        "get" => run.get(words),
        "export" => run.export(words),
        "import" => run.import(words),
        verb => Err(Problem::Usage(format!("Action {verb} not understood"))),
    }
}

fn explain(words: &[String]) -> Result<(), Problem> {
    let page = match words {
        [] => help::overview(),
        [topic] if topic == "subcommands" => help::subcommands(),
        [topic] if topic == "config" => help::config(),
        [_] => {
            return Err(Problem::Usage(
                "help topic must be one of:\n  subcommands\n  config".into(),
            ));
        }
        _ => return Err(Problem::Usage("Exactly one argument required".into())),
    };
    tell!("{page}");
    Ok(())
}

fn only(words: &[String]) -> Result<&str, Problem> {
    match words {
        [word] => Ok(word),
        _ => Err(Problem::Usage("Exactly one argument required".into())),
    }
}

fn shape_of<'a>(shapes: &'static [Shape], words: &'a [String]) -> Result<(&'static Shape, &'a [String]), Problem> {
    let Some((kind, rest)) = words.split_first() else {
        return Err(Problem::Usage("Type not specified".into()));
    };
    let shape = shapes.iter().find(|shape| shape.kind == *kind);
    shape
        .map(|shape| (shape, rest))
        .ok_or_else(|| Problem::Usage(format!("Type {kind} not recognised")))
}

/// One subcommand.
struct Run(Settings);

impl Run {
    fn say(&self, text: &str) {
        if !self.0.quiet {
            tell!("{text}");
        }
    }

    fn print(&self, answer: &str, columns: &[String], json: &[String]) -> Result<(), Problem> {
        if let Some(page) = show::page(answer, columns, json, &self.0)? {
            tell!("{page}");
        }
        Ok(())
    }

    fn list(&self, words: &[String]) -> Result<(), Problem> {
        let (listed, columns) = listed(&WORDS.list, words, "list")?;
        let (request, columns) = request::list(listed, columns, &self.0);
        self.print(&ask(&self.0, &request)?, &columns, &listed.json)
    }

    fn show(&self, words: &[String]) -> Result<(), Problem> {
        let (listed, columns) = listed(&WORDS.show, words, "show")?;
        let (request, columns) = request::list(listed, columns, &self.0);
        let answer = ask(&self.0, &request)?;
        self.print(&format!("[{answer}]"), &columns, &listed.json)
    }

    fn declare(&self, words: &[String]) -> Result<(), Problem> {
        let (shape, words) = shape_of(&WORDS.declare, words)?;
        let (path, fields) = request::filled(shape, words, &self.0)?;
        let method = if shape.kind == "binding" { "POST" } else { "PUT" };
        ask(&self.0, &Request::with(method, path, &fields))?;
        self.say(&format!("{} declared", shape.kind));
        Ok(())
    }

    fn remove(&self, shapes: &'static [Shape], words: &[String], done: &str) -> Result<(), Problem> {
        let (shape, words) = shape_of(shapes, words)?;
        let (path, _) = request::filled(shape, words, &self.0)?;
        ask(&self.0, &Request::new("DELETE", path))?;
        self.say(&format!("{} {done}", shape.kind));
        Ok(())
    }

    fn message(&self, kind: &str, words: &[String]) -> Result<(String, Map<String, Value>), Problem> {
        let words: Vec<_> = std::iter::once(kind.to_owned()).chain(words.iter().cloned()).collect();
        let (shape, words) = shape_of(&WORDS.message, &words)?;
        request::filled(shape, words, &self.0)
    }

    fn publish(&self, words: &[String]) -> Result<(), Problem> {
        let (path, mut fields) = self.message("publish", words)?;
        if !fields.contains_key("payload") {
            let mut octets = Vec::new();
            let read = std::io::stdin().read_to_end(&mut octets);
            read.map_err(|error| Problem::of_file("standard input", &error))?;
            fields.insert("payload".to_owned(), STANDARD.encode(octets).into());
            fields.insert("payload_encoding".to_owned(), "base64".into());
        }
        let answer = ask(&self.0, &Request::with("POST", path, &fields))?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        self.say(match answer["routed"].as_bool() {
            Some(true) => "Message published",
            _ => "Message published but NOT routed",
        });
        Ok(())
    }

    fn get(&self, words: &[String]) -> Result<(), Problem> {
        let (path, fields) = self.message("get", words)?;
        let file = fields
            .get("payload_file")
            .and_then(Value::as_str)
            .filter(|file| !file.is_empty());
        if file.is_some() && fields["count"] != "1" {
            return Err(Problem::Usage("Cannot get multiple messages using payload_file".into()));
        }
        let answer = ask(&self.0, &Request::with("POST", path, &fields))?;
        let Some(file) = file else {
            return self.print(&answer, &[], &[]);
        };
        save_payload(&answer, file)?;
        self.print(&answer, &WORDS.columns_with_file, &[])
    }

    fn export(&self, words: &[String]) -> Result<(), Problem> {
        let file = only(words)?;
        let text = ask(&self.0, &Request::new("GET", self.definitions()))?;
        std::fs::write(file, text).map_err(|error| Problem::of_file(file, &error))?;
        self.say(&format!("Exported definitions for {} to \"{file}\"", self.0.hostname));
        Ok(())
    }

    fn import(&self, words: &[String]) -> Result<(), Problem> {
        let file = only(words)?;
        let octets = std::fs::read(file).map_err(|error| Problem::of_file(file, &error))?;
        let request = Request {
            body: Some(octets),
            ..Request::new("POST", self.definitions())
        };
        ask(&self.0, &request)?;
        self.say(&format!(
            "Uploaded definitions from \"{}\" to {file}. The import process may take some time. Consult server logs to track \
             progress.",
            self.0.hostname
        ));
        Ok(())
    }

    /// Of one virtual host, or of all.
    fn definitions(&self) -> String {
        match &self.0.vhost {
            None => "definitions".to_owned(),
            Some(vhost) => format!("definitions/{}", request::encoded(vhost, "")),
        }
    }
}

fn listed<'a>(
    all: &'static [crate::words::Listed],
    words: &'a [String],
    verb: &str,
) -> Result<(&'static crate::words::Listed, &'a [String]), Problem> {
    let Some((kind, columns)) = words.split_first() else {
        return Err(Problem::Usage("Type not specified".into()));
    };
    let listed = all.iter().find(|listed| listed.kind == *kind);
    listed
        .map(|listed| (listed, columns))
        .ok_or_else(|| Problem::Usage(format!("Don't know how to {verb} {kind}")))
}

/// Writes the message's octets; where there is no message, nothing is written.
fn save_payload(answer: &str, file: &str) -> Result<(), Problem> {
    let messages: Vec<Value> = serde_json::from_str(answer).unwrap_or_default();
    let Some(message) = messages.first() else { return Ok(()) };
    let payload = message["payload"].as_str().unwrap_or_default();
    let octets = match message["payload_encoding"].as_str() {
        Some("base64") => STANDARD
            .decode(payload)
            .map_err(|why| Problem::Refused(format!("payload: {why}")))?,
        _ => payload.as_bytes().to_vec(),
    };
    std::fs::write(file, octets).map_err(|error| Problem::of_file(file, &error))
}
