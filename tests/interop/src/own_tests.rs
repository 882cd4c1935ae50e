//! Clients whose own tests are run: the sources of a pinned version are copied beside the environment, the places where the tests name a broker on
//! its usual ports are pointed at ours, and the suite's main file is replaced by one that reports as we read it. What a test asserts is never touched.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A text that the tests must hold exactly so often, and what stands there afterwards.
struct Pointed {
    file: &'static str,
    times: usize,
    from: &'static str,
    to: &'static str,
}

const RABBIT_HOLE: [Pointed; 6] = [
    Pointed {
        file: "rabbithole_test.go",
        times: 1,
        from: "\"http://127.0.0.1:15672\"",
        to: "managementURL",
    },
    Pointed {
        file: "health_checks_test.go",
        times: 1,
        from: "\"http://127.0.0.1:15672\"",
        to: "managementURL",
    },
    Pointed {
        file: "rabbithole_test.go",
        times: 2,
        from: "@localhost:5672/",
        to: "@\" + amqpHost + \"/",
    },
    Pointed {
        file: "rabbithole_test.go",
        times: 1,
        from: "BeEquivalentTo(5672)",
        to: "BeEquivalentTo(amqpPort)",
    },
    Pointed {
        file: "health_checks_test.go",
        times: 1,
        from: "HealthCheckPortListener(5672)",
        to: "HealthCheckPortListener(amqpPort)",
    },
    Pointed {
        file: "rabbithole_test.go",
        times: 1,
        from: "time.Sleep(5000 * time.Millisecond)",
        to: "time.Sleep(propagation())",
    },
];

/// Builds rabbit-hole's tests as `directory/suite`.
pub(crate) fn rabbit_hole(sources: &Path, directory: &Path) -> Result<()> {
    let module = go_module(sources, "github.com/michaelklishin/rabbit-hole/v2")?;
    let copy = directory.join("source");
    copy_flat(&module, &copy)?;
    point(&copy, &RABBIT_HOLE)?;
    copy_flat_named(sources, &copy, &["rabbithole_suite_test.go", "lacking.txt"])?;
    let mut build = Command::new("go");
    build
        .args(["test", "-c", "-mod=readonly", "-o"])
        .arg(directory.join("suite"))
        .arg(".");
    crate::environment::finish(build.current_dir(&copy))
}

/// Where Go keeps the module that `sources/go.mod` pins, after it has proven its hash.
fn go_module(sources: &Path, module: &str) -> Result<PathBuf> {
    crate::environment::finish(
        Command::new("go")
            .args(["mod", "download", module])
            .current_dir(sources),
    )?;
    let mut list = Command::new("go");
    list.args(["list", "-m", "-f", "{{.Dir}}", module]);
    let output = list.current_dir(sources).stdin(Stdio::null()).output()?;
    let path = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    ensure!(path.is_dir(), "go does not say where {module} is");
    Ok(path)
}

/// The files of `from` itself, as files that we may change.
fn copy_flat(from: &Path, to: &Path) -> Result<()> {
    let names = fs::read_dir(from)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(to)?;
    for file in names.iter().filter(|path| path.is_file()) {
        // Go's cache is read-only, and a copied file would be as well.
        fs::write(to.join(file.file_name().context("a file has a name")?), fs::read(file)?)?;
    }
    Ok(())
}

fn copy_flat_named(from: &Path, to: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        fs::write(to.join(name), fs::read(from.join(name))?)?;
    }
    Ok(())
}

/// Replaces what each names; an error if the tests have changed under us.
fn point(directory: &Path, all: &[Pointed]) -> Result<()> {
    for pointed in all {
        let path = directory.join(pointed.file);
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        let found = text.matches(pointed.from).count();
        ensure!(
            found == pointed.times,
            "{} has {found} times '{}', not {}",
            pointed.file,
            pointed.from,
            pointed.times
        );
        fs::write(&path, text.replace(pointed.from, pointed.to))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [Pointed; 1] = [Pointed {
        file: "a",
        times: 1,
        from: "localhost:5672",
        to: "HERE",
    }];

    #[test]
    fn an_address_is_replaced_where_it_stands_as_often_as_we_know_of() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        fs::write(&file, "dial localhost:5672 now").unwrap();
        point(directory.path(), &ONE).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "dial HERE now");
    }

    #[test]
    fn tests_that_name_the_broker_elsewhere_too_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "localhost:5672 localhost:5672").unwrap();
        let refusal = point(directory.path(), &ONE).unwrap_err().to_string();
        assert_eq!(refusal, "a has 2 times 'localhost:5672', not 1");
    }
}
