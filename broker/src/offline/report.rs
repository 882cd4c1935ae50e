//! The words of `warren store check`, for people and as JSON.
//!
//! One line a file and one a queue, damage last, then what a start would do. Decides nothing.

use catalog::Catalog;
use serde_json::{Value, json};
use std::fmt::Write;
use store::check::{Ending, FileReport, QueueReport, Start, What};

use super::check::Known;

fn what(what: What) -> &'static str {
    match what {
        What::Segment => "log of messages",
        What::Pages => "messages",
        What::Gone => "consumed messages",
        What::Spare => "room for the log",
        What::Foreign => "not of this broker",
    }
}

fn ending(file: &FileReport) -> String {
    let behind = file.octets.saturating_sub(file.end);
    match file.ending {
        Ending::Complete => "complete".to_owned(),
        Ending::Stopped => "stopped in order here".to_owned(),
        Ending::Cut => format!("breaks off here: the {behind} octets behind were never promised"),
        Ending::Unused => "holds nothing".to_owned(),
        Ending::Newer => "written by a newer release, not read on".to_owned(),
        Ending::Missing => "missing".to_owned(),
    }
}

/// The name that the definitions give a queue: virtual host and queue.
fn name(catalog: Option<&Catalog>, id: model::QueueId) -> Option<(String, String)> {
    let record = catalog?.queue_by_id(id)?;
    Some((record.vhost.to_string(), record.name.to_string()))
}

/// For people.
pub(super) fn text(known: &Known) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut out, known);
    out
}

fn write_text(out: &mut String, known: &Known) -> std::fmt::Result {
    match &known.written {
        Some(written) => writeln!(
            out,
            "node {}, started {} times, directory format {}",
            written.name, written.starts, written.format
        )?,
        None => writeln!(out, "no warren.json: no node has used this directory")?,
    }
    writeln!(out, "\nfiles")?;
    for (path, octets) in &known.meta_files {
        writeln!(out, "  {path}: definitions, {octets} octets")?;
    }
    for file in &known.messages.files {
        write_file(out, file)?;
    }
    write_definitions(out, known)?;
    writeln!(out, "\nqueues")?;
    for (id, queue) in &known.messages.queues {
        write_queue(out, known.catalog(), *id, queue)?;
    }
    write_verdict(out, known)
}

fn write_file(out: &mut String, file: &FileReport) -> std::fmt::Result {
    write!(out, "  {}: {}", file.path, what(file.what))?;
    if let Some(version) = file.version {
        write!(out, ", format {version}")?;
    }
    write!(out, ", {} octets, ends at {}: {}", file.octets, file.end, ending(file))?;
    for (kind, count) in &file.records {
        write!(out, ", {count} {kind}")?;
    }
    match file.damage_count {
        0 => writeln!(out),
        count => writeln!(out, ", {count} DAMAGED PLACES"),
    }
}

fn write_definitions(out: &mut String, known: &Known) -> std::fmt::Result {
    writeln!(out, "\ndefinitions")?;
    match &known.definitions {
        Ok(read) => {
            let snapshot = match read.snapshot_index {
                Some(index) => format!("snapshot up to entry {index}"),
                None => "no snapshot".to_owned(),
            };
            let (vhosts, queues) = (read.catalog.vhosts().count(), read.catalog.queues().count());
            let entries = read.entries;
            writeln!(
                out,
                "  {snapshot}, {entries} entries in the log: {vhosts} virtual hosts, {queues} queues"
            )
        }
        Err(why) => writeln!(out, "  {why}"),
    }
}

fn write_queue(
    out: &mut String,
    catalog: Option<&Catalog>,
    id: model::QueueId,
    queue: &QueueReport,
) -> std::fmt::Result {
    let QueueReport {
        messages,
        paged,
        octets,
        last,
        delivered,
    } = queue;
    match name(catalog, id) {
        Some((vhost, name)) => write!(out, "  {name} in {vhost}")?,
        None => write!(out, "  number {} (not defined any more; a start forgets it)", id.0)?,
    }
    write!(
        out,
        ": {messages} messages ({paged} in pages), {octets} octets, last position {}",
        last.0
    )?;
    for (level, upto) in delivered {
        write!(out, ", redelivered up to {}", upto.0)?;
        if delivered.len() > 1 {
            write!(out, " at priority level {level}")?;
        }
    }
    writeln!(out)
}

fn write_verdict(out: &mut String, known: &Known) -> std::fmt::Result {
    let damage: Vec<_> = known.messages.files.iter().flat_map(|file| &file.damage).collect();
    if !damage.is_empty() {
        writeln!(out, "\ndamage")?;
    }
    for place in damage {
        writeln!(out, "  {place}")?;
    }
    writeln!(out, "\na start")?;
    match (known.refusal(), &known.messages.start) {
        (Some(why), _) => writeln!(out, "  would be refused: {why}"),
        (None, Start::Refused(_)) => Ok(()),
        (None, Start::Goes { cuts, moves, removes }) => {
            writeln!(out, "  would succeed")?;
            for (file, at) in cuts {
                writeln!(out, "  would end {file} at {at}")?;
            }
            if *moves > 0 {
                writeln!(out, "  would move {moves} messages from the log into pages")?;
            }
            for file in removes {
                writeln!(out, "  would remove {file}, which holds nothing")?;
            }
            Ok(())
        }
    }
}

fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::Stopped => "stopped",
        Ending::Cut => "cut",
        Ending::Unused => "unused",
        Ending::Newer => "newer",
        Ending::Missing => "missing",
    }
}

fn file_value(file: &FileReport) -> Value {
    let place = |damage: &store::Damage| json!({"offset": damage.offset, "what": damage.what});
    json!({
        "file": file.path,
        "what": what(file.what),
        "format": file.version,
        "octets": file.octets,
        "end": file.end,
        "ending": ending_name(file.ending),
        "records": file.records,
        "damaged_places": file.damage_count,
        "damage": file.damage.iter().map(place).collect::<Vec<_>>(),
    })
}

fn queue_value(catalog: Option<&Catalog>, id: model::QueueId, queue: &QueueReport) -> Value {
    let name = name(catalog, id);
    let delivered: Vec<_> = queue
        .delivered
        .iter()
        .map(|(level, upto)| json!({"level": level, "position": upto.0}))
        .collect();
    json!({
        "number": id.0,
        "vhost": name.as_ref().map(|(vhost, _)| vhost),
        "name": name.as_ref().map(|(_, name)| name),
        "messages": queue.messages,
        "messages_in_pages": queue.paged,
        "message_bytes": queue.octets,
        "last_position": queue.last.0,
        "redelivered_up_to": delivered,
    })
}

fn start_value(known: &Known) -> Value {
    match (known.refusal(), &known.messages.start) {
        (Some(why), _) => json!({"succeeds": false, "why": why}),
        (None, Start::Refused(why)) => json!({"succeeds": false, "why": why}),
        (None, Start::Goes { cuts, moves, removes }) => {
            let cuts: Vec<_> = cuts.iter().map(|(file, at)| json!({"file": file, "at": at})).collect();
            json!({"succeeds": true, "ends": cuts, "messages_moved_into_pages": moves, "removes": removes})
        }
    }
}

/// As JSON.
pub(super) fn json(known: &Known) -> String {
    let meta = |(path, octets): &(String, u64)| json!({"file": path, "octets": octets});
    let queues = known.messages.queues.iter();
    let definitions = match &known.definitions {
        Ok(read) => json!({
            "snapshot_index": read.snapshot_index,
            "log_entries": read.entries,
            "vhosts": read.catalog.vhosts().count(),
            "queues": read.catalog.queues().count(),
        }),
        Err(why) => json!({"error": why.to_string()}),
    };
    let value = json!({
        "node": known.written.as_ref().map(|written| &written.name),
        "starts": known.written.as_ref().map(|written| written.starts),
        "damaged": known.is_damaged(),
        "definitions": definitions,
        "definition_files": known.meta_files.iter().map(meta).collect::<Vec<_>>(),
        "files": known.messages.files.iter().map(file_value).collect::<Vec<_>>(),
        "queues": queues.map(|(id, queue)| queue_value(known.catalog(), *id, queue)).collect::<Vec<_>>(),
        "start": start_value(known),
    });
    format!("{value:#}\n")
}
