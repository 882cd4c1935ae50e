//! Holds the packages to the import table of ARCHITECTURE.md. The table is read, not repeated, so page and code cannot
//! drift apart. A package without a row, and a row without a package, are findings too.

use std::collections::{BTreeMap, BTreeSet};

use crate::packages::Package;
use crate::source::{Finding, Source};

const PAGE: &str = "ARCHITECTURE.md";
const HEADER: &str = "| package | may import |";

/// Reads the import table: package to what it may import, and the line of its row.
///
/// # Errors
/// When the page holds no such table.
pub fn table(page: &str) -> Result<BTreeMap<String, (usize, BTreeSet<String>)>, String> {
    let lines = page.lines().enumerate();
    let rows: BTreeMap<_, _> = lines
        .skip_while(|(_, line)| *line != HEADER)
        .skip(2)
        .map_while(|(at, line)| row(at + 1, line))
        .collect();
    if rows.is_empty() {
        Err(format!("no table under '{HEADER}'"))
    } else {
        Ok(rows)
    }
}

fn row(number: usize, line: &str) -> Option<(String, (usize, BTreeSet<String>))> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let package = cells.next()?.to_owned();
    let imports = cells.next()?.split_whitespace().map(str::to_owned).collect();
    Some((package, (number, imports)))
}

/// Every import that the table does not allow, and every row or package that lacks its counterpart.
pub fn forbidden_imports(packages: &[Package], sources: &[Source]) -> Vec<Finding> {
    let page = sources
        .iter()
        .find(|source| source.path == PAGE)
        .map_or("", |source| source.text.as_str());
    let rows = match table(page) {
        Ok(rows) => rows,
        Err(reason) => return vec![finding(PAGE, 1, reason)],
    };
    let mut found: Vec<_> = packages.iter().flat_map(|package| of_package(package, &rows)).collect();
    found.extend(
        rows.iter()
            .filter(|(name, _)| packages.iter().all(|package| package.name != **name))
            .map(|(name, (line, _))| {
                finding(
                    PAGE,
                    *line,
                    format!("the workspace has no package '{name}'; remove its row"),
                )
            }),
    );
    found.extend(
        sources
            .iter()
            .filter(|source| source.path.starts_with("broker/src/"))
            .flat_map(shared_binary),
    );
    found
}

fn of_package(package: &Package, rows: &BTreeMap<String, (usize, BTreeSet<String>)>) -> Vec<Finding> {
    let Some((_, allowed)) = rows.get(&package.name) else {
        return vec![finding(
            &package.manifest,
            1,
            format!("package '{}' has no row in the import table of {PAGE}", package.name),
        )];
    };
    let forbidden = package.imports.iter().filter(|import| !allowed.contains(*import));
    forbidden
        .map(|import| {
            let reason = format!("'{}' may not import '{import}' ({PAGE}, Imports)", package.name);
            finding(&package.manifest, 1, reason)
        })
        .collect()
}

/// The command line and the load generator share the server's binary, not its code.
fn shared_binary(source: &Source) -> Vec<Finding> {
    if source.path == "broker/src/main.rs" {
        return Vec::new();
    }
    let names = ["ctl::", "perf::"];
    let uses = |line: &str| {
        names.iter().any(|name| {
            line.trim_start()
                .strip_prefix("use ")
                .is_some_and(|rest| rest.starts_with(name))
        })
    };
    let lines = source.text.lines().enumerate().filter(|(_, line)| uses(line));
    lines
        .map(|(at, _)| finding(&source.path, at + 1, "only main.rs may name ctl and perf".into()))
        .collect()
}

fn finding(file: &str, line: usize, reason: String) -> Finding {
    Finding {
        file: file.into(),
        line,
        rule: "imports",
        reason,
    }
}
