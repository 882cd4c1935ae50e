//! `export_definitions` and `import_definitions`: everything that the broker was told, to and from a file of this machine.
//!
//! The document is the management API's; it travels in pieces, so it may be larger than one message. In which format the file is, only
//! this side knows.

use crate::command::{Command, Output, Session, flag, text};
use crate::commands::definitions_file::FileFormat;
use crate::options::Options;
use crate::problem::{DATA, Problem, UNAVAILABLE};
use link::{Failure, Request, Term};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

const DEFINITIONS: &str = "Definitions";
/// Octets of one piece of a file; as JSON it is at most six times as long.
const PIECE_BYTES: usize = 128 * 1024;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("export_definitions", export)
        .help(
            "<file_path | \"-\"> [--format <json | erlang>] [--timeout <timeout>]",
            "Exports definitions in JSON, or as a compressed Erlang term",
        )
        .takes(1, 1)
        .with(&[text("format")])
        .checked(|options, args| {
            check_format(options)?;
            check_folder(&args[0])
        })
        .banner(|_, options, args| match args[0].as_str() {
            "-" => String::new(),
            file => format!(
                "Exporting definitions in {} to a file at \"{file}\" ...",
                format_of(options).name()
            ),
        })
        .under(DEFINITIONS),
    Command::new("import_definitions", import)
        .help(
            "<file_path | \"-\"> [--format <json | erlang>] [--skip-if-unchanged] [--timeout <timeout>]",
            "Imports definitions in JSON, or from an Erlang term",
        )
        .takes(0, 1)
        .with(&[text("format"), flag("skip-if-unchanged")])
        .checked(|options, args| {
            check_format(options)?;
            match args {
                [file] if file != "-" && !Path::new(file).exists() => {
                    let text = format!("Bad argument: File {file} does not exist");
                    Err(Problem::arguments(DATA, text))
                }
                _ => Ok(()),
            }
        })
        .banner(|_, options, args| match (format_of(options).name(), args) {
            (format, [file]) if file != "-" => {
                format!("Importing definitions in {format} from a file at \"{file}\" ...")
            }
            (format, _) => format!("Importing definitions in {format} from standard input ..."),
        })
        .under(DEFINITIONS),
];

fn check_format(options: &Options) -> Result<(), Problem> {
    let known = FileFormat::of(options.text("format")).map(|_| ());
    known.ok_or_else(|| Problem::arguments(DATA, "Bad argument: Format should be either json or erlang"))
}

/// The format of the file, which was checked before.
fn format_of(options: &Options) -> FileFormat {
    FileFormat::of(options.text("format")).unwrap_or(FileFormat::Json)
}

fn check_folder(file: &str) -> Result<(), Problem> {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if file != "-" && !folder.is_dir() => {
            let text = format!("Bad argument: Directory {} does not exist", folder.display());
            Err(Problem::arguments(DATA, text))
        }
        _ => Ok(()),
    }
}

fn export(session: &mut Session<'_>) -> Result<Output, Problem> {
    let mut document = String::new();
    session.list(&Request::ExportDefinitions, |row| {
        if let Some(Term::Binary(piece)) = row.first() {
            document.push_str(piece);
        }
        Ok(())
    })??;
    let file = session.argument(0);
    let octets = format_of(session.options).written(document);
    let octets = octets.map_err(|why| Problem::error(UNAVAILABLE, format!("the node sent no document: {why}")))?;
    let written = match file.as_str() {
        // Nothing follows the document, as RabbitMQ has it.
        "-" => io::stdout().lock().write_all(&octets),
        file => fs::write(file, &octets),
    };
    written.map_err(|why| Problem::error(UNAVAILABLE, format!("cannot write {file}: {why}")))?;
    Ok(Output::Printed)
}

fn import(session: &mut Session<'_>) -> Result<Output, Problem> {
    let file = session.argument(0);
    let read = match file.as_str() {
        "" | "-" => {
            let mut octets = Vec::new();
            io::stdin().lock().read_to_end(&mut octets).map(|_| octets)
        }
        file => fs::read(file),
    };
    let octets = read.map_err(|why| Problem::error(DATA, format!("cannot read {file}: {why}")))?;
    let format = format_of(session.options);
    let document = format.read(octets).map_err(|why| {
        let text = format!("Failed to deserialise input (format: {}) (error: {why})", format.name());
        Problem::error(DATA, text)
    })?;
    let mut rest = document.as_str();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        session.ask(&Request::DefinitionsPiece { text: piece.to_owned() })?;
        rest = tail;
    }
    let request = match session.options.flag("skip-if-unchanged") {
        true => Request::ImportChangedDefinitions,
        false => Request::ImportDefinitions,
    };
    session.ask_or(&request, |failure| match failure {
        Failure::BadJson => Problem::error(DATA, "the document is no definitions file"),
        other => other.into(),
    })?;
    // The words that scripts wait for; here the import is done when they are said.
    Ok(Output::Text(
        "Successfully started definition import. This process is asynchronous and can take some time.".to_owned(),
    ))
}
