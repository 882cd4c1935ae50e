//! Help and the completion script, made from the table of words. The script makes the same texts from the same table.

use crate::words::{Opt, Shape, WORDS};

const USAGE: &str = "Usage\n=====\n  rabbitmqadmin [options] subcommand";

/// Usage and options.
pub(crate) fn overview() -> String {
    let mut lines = vec![
        USAGE.to_owned(),
        String::new(),
        "Options".to_owned(),
        "=======".to_owned(),
    ];
    lines.extend(WORDS.options.iter().map(option));
    lines.push(String::new());
    lines.extend(WORDS.more_help.iter().cloned());
    lines.join("\n")
}

fn option(option: &Opt) -> String {
    let short = option
        .short
        .as_ref()
        .map_or_else(String::new, |short| format!("{short}, "));
    let takes = option
        .takes
        .as_ref()
        .map_or_else(String::new, |takes| format!("={takes}"));
    format!("{:<39} {}", format!("{short}{}{takes}", option.long), option.help)
}

/// All subcommands.
pub(crate) fn subcommands() -> String {
    let mut lines = vec![USAGE.to_owned(), "\n  where subcommand is one of:".to_owned()];
    lines.push(title("Display"));
    for (verb, all) in [("list", &WORDS.list), ("show", &WORDS.show)] {
        lines.extend(
            all.iter()
                .map(|listed| format!("  {verb} {} [<column>...]", listed.kind)),
        );
    }
    lines.push(title("Object Manipulation"));
    for (verb, shapes) in WORDS.verbs() {
        lines.extend(shapes.iter().map(|shape| subcommand(&format!("  {verb} "), shape)));
    }
    lines.push(title("Broker Definitions"));
    lines.push("  export <file>\n  import <file>".to_owned());
    lines.push(title("Publishing and Consuming"));
    lines.extend(WORDS.message.iter().map(|shape| subcommand("  ", shape)));
    lines.push(String::new());
    lines.extend(WORDS.notes.iter().cloned());
    lines.join("\n")
}

fn title(name: &str) -> String {
    format!("\n{name}\n{}\n", "=".repeat(name.len()))
}

fn subcommand(verb: &str, shape: &Shape) -> String {
    let must = shape.must.iter().map(|ways| format!("{}=...", ways.join("=... OR ")));
    let may: Vec<_> = shape.may.iter().map(|(key, _)| format!("{key}=...")).collect();
    let may = (!may.is_empty()).then(|| format!("[{}]", may.join(" ")));
    let words: Vec<_> = must.chain(may).collect();
    format!("{verb}{} {}", shape.kind, words.join(" "))
}

/// The format of the configuration file.
pub(crate) fn config() -> String {
    WORDS.config.join("\n")
}

/// A completion script for bash: subcommands and what they act on.
pub(crate) fn completion() -> String {
    let kinds = |shapes: &[Shape]| shapes.iter().map(|shape| shape.kind.clone()).collect::<Vec<_>>();
    let listed = [("list", &WORDS.list), ("show", &WORDS.show)];
    let listed = listed.map(|(verb, all)| (verb, all.iter().map(|listed| listed.kind.clone()).collect::<Vec<_>>()));
    let known: Vec<_> = listed
        .into_iter()
        .chain(WORDS.verbs().map(|(verb, shapes)| (verb, kinds(shapes))))
        .collect();
    let verbs: Vec<_> = known
        .iter()
        .map(|(verb, _)| *verb)
        .chain(["publish", "get", "export", "import", "help"])
        .collect();
    let case = |(verb, kinds): &(&str, Vec<String>)| format!("        {verb}) words=\"{}\" ;;", kinds.join(" "));
    let mut lines = vec![
        "_rabbitmqadmin() {".to_owned(),
        "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD - 1]}\" words".to_owned(),
        "    case \"$before\" in".to_owned(),
    ];
    lines.extend(known.iter().map(case));
    lines.extend([
        "        help) words=\"subcommands config\" ;;".to_owned(),
        format!("        -f|--format) words=\"{}\" ;;", WORDS.formats.join(" ")),
        "        export|import) COMPREPLY=($(compgen -f -- \"$word\")); return ;;".to_owned(),
        format!("        *) words=\"{}\" ;;", verbs.join(" ")),
        "    esac".to_owned(),
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))".to_owned(),
        "}".to_owned(),
        "complete -F _rabbitmqadmin rabbitmqadmin".to_owned(),
    ]);
    lines.join("\n")
}
