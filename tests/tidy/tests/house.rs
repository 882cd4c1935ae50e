//! Every rule of the house, twice: once on this repository, where it must find nothing, and once on a small source
//! that breaks it, where it must find exactly that. A rule that cannot fail would not be noticed missing.

use tidy::{Finding, Package, Source};

const NOTHING: [usize; 0] = [];

type Rule = fn(&Source) -> Vec<Finding>;

/// Applies the rule to every file and fails with all findings at once.
fn holds(rule: Rule) {
    let sources = tidy::sources().expect("the repository can be read");
    assert!(
        sources.iter().any(|source| source.path == "tests/tidy/tests/house.rs"),
        "the repository was not read"
    );
    let findings: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}", tidy::report(findings));
}

fn rust_only(source: &Source, rule: Rule) -> Vec<Finding> {
    if source.is_rust() { rule(source) } else { Vec::new() }
}

fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.into(),
        text: text.into(),
    }
}

/// Lines at which the rule finds fault.
fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&source(path, text)).iter().map(|finding| finding.line).collect()
}

#[test]
fn packages_import_only_what_the_table_allows() {
    let findings = tidy::forbidden_imports(&tidy::packages().unwrap(), &tidy::sources().unwrap());
    assert!(findings.is_empty(), "\n{}", tidy::report(findings));
}

#[test]
fn no_function_is_longer_than_a_screen() {
    holds(|source| rust_only(source, tidy::long_functions));
}

#[test]
fn no_file_is_too_long() {
    holds(tidy::long_files);
}

#[test]
fn every_rust_file_opens_with_what_it_decides() {
    holds(tidy::head_comments);
}

#[test]
fn no_banned_word_is_committed() {
    holds(tidy::banned_words);
}

#[test]
fn no_lint_is_switched_off_in_silence() {
    holds(tidy::unexplained_allows);
}

#[test]
fn tests_are_named_by_what_they_prove() {
    holds(|source| rust_only(source, tidy::shy_test_names));
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let sources = tidy::sources().unwrap();
    for package in tidy::packages().unwrap() {
        let manifest = sources.iter().find(|source| source.path == package.manifest).unwrap();
        assert!(
            manifest.text.contains("[lints]\nworkspace = true"),
            "{}: add [lints] workspace = true",
            package.manifest
        );
    }
}

#[test]
fn the_pure_rooms_share_one_list_of_bans() {
    let sources = tidy::sources().unwrap();
    let bans = |room: &str| {
        let path = format!("broker/crates/{room}/clippy.toml");
        sources
            .iter()
            .find(|source| source.path == path)
            .map(|source| source.text.clone())
    };
    let first = bans("queue").unwrap();
    assert!(first.contains("std::time::Instant::now"));
    for room in ["model", "wire", "routing", "access", "catalog", "session"] {
        assert_eq!(
            bans(room).as_ref(),
            Some(&first),
            "broker/crates/{room}/clippy.toml differs from the queue's"
        );
    }
}

#[test]
fn the_map_fits_on_a_few_pages() {
    let sources = tidy::sources().unwrap();
    let page = sources.iter().find(|source| source.path == "ARCHITECTURE.md").unwrap();
    assert!(
        page.text.lines().count() <= 300,
        "ARCHITECTURE.md: at most 300 lines, else nobody reads it"
    );
}

#[test]
fn a_function_of_71_lines_is_found_and_one_of_70_is_not() {
    let function = |lines: usize| {
        format!(
            "struct A;\nimpl A {{\n    fn long() {{\n{}    }}\n}}\n",
            "        a();\n".repeat(lines - 2)
        )
    };
    assert_eq!(lines(tidy::long_functions, "a.rs", &function(71)), [3]);
    assert_eq!(lines(tidy::long_functions, "a.rs", &function(70)), NOTHING);
}

#[test]
fn a_brace_in_a_string_does_not_hide_a_long_function() {
    let text = format!("fn long() {{\n    let a = \"}}\";\n{}}}\n", "    a();\n".repeat(80));
    assert_eq!(lines(tidy::long_functions, "a.rs", &text), [1]);
}

#[test]
fn a_file_that_does_not_parse_is_found() {
    assert_eq!(lines(tidy::long_functions, "a.rs", "fn a() {}\nfn fn fn"), [2]);
}

#[test]
fn a_missing_head_comment_is_found() {
    let long = "//! Decides who may log in, by name and password alone.\n//! Reads no file.\nuse b;\n";
    assert_eq!(lines(tidy::head_comments, "a.rs", long), NOTHING);
    assert_eq!(lines(tidy::head_comments, "a.rs", "//! Users.\nuse b;\n"), [1]);
    assert_eq!(lines(tidy::head_comments, "a.rs", "use b;\n"), [1]);
    assert_eq!(lines(tidy::head_comments, "a.toml", "[a]\n"), NOTHING);
}

#[test]
fn a_file_of_801_lines_is_found() {
    assert_eq!(lines(tidy::long_files, "a.rs", &"\n".repeat(801)), [801]);
    assert_eq!(lines(tidy::long_files, "a.rs", &"\n".repeat(800)), NOTHING);
}

#[test]
fn unfinished_work_and_private_paths_are_found() {
    let text = format!(
        "a\n// {}: later\nsee {}x\n",
        ["TO", "DO"].concat(),
        ["/wo", "rk/"].concat()
    );
    assert_eq!(lines(tidy::banned_words, "a.md", &text), [2, 3]);
}

#[test]
fn printing_is_for_the_command_line_only() {
    let text = ["print", "ln!(\"a\");\n"].concat();
    assert_eq!(lines(tidy::banned_words, "broker/src/host/a.rs", &text), [1]);
    let explained = [
        "#[expect(clippy::print_stdout, reason = \"asked for\")]\nfn a() {\n    ",
        &text,
    ]
    .concat();
    assert_eq!(lines(tidy::banned_words, "broker/src/host/a.rs", &explained), NOTHING);
    assert_eq!(lines(tidy::banned_words, "broker/crates/ctl/src/a.rs", &text), NOTHING);
    assert_eq!(lines(tidy::banned_words, "tests/oracle/src/a.rs", &text), NOTHING);
}

#[test]
fn a_lint_switched_off_without_reason_is_found() {
    let rule = tidy::unexplained_allows;
    assert_eq!(
        lines(rule, "a.rs", "#[allow(dead_code)]\nfn a() {} // no reason\n"),
        [1]
    );
    assert_eq!(lines(rule, "a.rs", "#[expect(dead_code, reason = \"b\")]\n"), NOTHING);
    assert_eq!(
        lines(rule, "a.rs", "#[allow(\n    dead_code,\n    reason = \"b\"\n)]\n"),
        NOTHING
    );
}

#[test]
fn a_shy_test_name_is_found() {
    let text = "fn test_of_nothing() {}\n#[tokio::test]\nasync fn test_a() {}\n";
    assert_eq!(lines(tidy::shy_test_names, "a.rs", text), [3]);
}

const PAGE: &str = "x\n| package | may import |\n| --- | --- |\n| model | |\n| wire | model |\n\nend\n";

fn package(name: &str, imports: &[&str]) -> Package {
    let imports = imports.iter().map(|import| (*import).to_owned()).collect();
    Package {
        name: name.into(),
        manifest: format!("{name}/Cargo.toml"),
        imports,
    }
}

/// What the import rule says about these packages and sources.
fn imports(packages: &[Package], others: &[Source]) -> Vec<String> {
    let mut sources = vec![source("ARCHITECTURE.md", PAGE)];
    sources.extend(others.iter().cloned());
    tidy::forbidden_imports(packages, &sources)
        .iter()
        .map(|finding| format!("{}:{}", finding.file, finding.line))
        .collect()
}

#[test]
fn an_import_outside_the_table_is_found() {
    assert_eq!(
        imports(&[package("model", &[]), package("wire", &["model"])], &[]),
        Vec::<String>::new()
    );
    assert_eq!(
        imports(&[package("model", &["wire"]), package("wire", &[])], &[]),
        ["model/Cargo.toml:1"]
    );
}

#[test]
fn a_package_without_a_row_and_a_row_without_a_package_are_found() {
    let found = imports(&[package("model", &[]), package("queue", &[])], &[]);
    assert_eq!(found, ["queue/Cargo.toml:1", "ARCHITECTURE.md:5"]);
}

#[test]
fn the_server_may_not_use_the_command_line() {
    let text = "//! a\nuse ctl::Command;\n";
    let packages = [package("model", &[]), package("wire", &[])];
    assert_eq!(
        imports(&packages, &[source("broker/src/host/a.rs", text)]),
        ["broker/src/host/a.rs:2"]
    );
    assert_eq!(
        imports(&packages, &[source("broker/src/main.rs", text)]),
        Vec::<String>::new()
    );
}
