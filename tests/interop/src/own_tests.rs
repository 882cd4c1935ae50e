//! Clients whose own tests are run: the sources of a pinned version are copied beside the environment, the places where the tests name a broker on
//! its usual ports are pointed at ours, and what runs them is replaced by what reports as we read it. What a test asserts is never touched.

use crate::environment::{answer, finish};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

const RUST_HTTP: [Pointed; 12] = [
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "    ENDPOINT.to_owned()",
        to: "    broker::endpoint()",
    },
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "\"localhost\".to_owned()",
        to: "broker::host()",
    },
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "AMQP_ENDPOINT.to_owned()",
        to: "broker::amqp_endpoint()",
    },
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "\"{AMQP_ENDPOINT}/{name}\"",
        to: "\"{}/{name}\", broker::amqp_endpoint()",
    },
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "\"{AMQP_ENDPOINT}?hostname='vhost:{name}'\"",
        to: "\"{}?hostname='vhost:{name}'\", broker::amqp_endpoint()",
    },
    Pointed {
        file: "test_helpers.rs",
        times: 1,
        from: "&hostname(), 5672,",
        to: "&hostname(), broker::amqp_port(),",
    },
    Pointed {
        file: "async_channel_tests.rs",
        times: 4,
        from: "&hostname(), 5672,",
        to: "&hostname(), broker::amqp_port(),",
    },
    Pointed {
        file: "async_connection_tests.rs",
        times: 2,
        from: "&hostname(), 5672,",
        to: "&hostname(), broker::amqp_port(),",
    },
    Pointed {
        file: "async_health_checks_tests.rs",
        times: 1,
        from: "health_check_port_listener(15672)",
        to: "health_check_port_listener(broker::management_port())",
    },
    Pointed {
        file: "blocking_health_checks_tests.rs",
        times: 1,
        from: "health_check_port_listener(15672)",
        to: "health_check_port_listener(broker::management_port())",
    },
    // They want certificates and a library for TLS; the client's authors leave them out of a run as well.
    Pointed {
        file: "main.rs",
        times: 1,
        from: "mod async_tls_tests;\n",
        to: "",
    },
    Pointed {
        file: "main.rs",
        times: 1,
        from: "mod blocking_tls_tests;\n",
        to: "",
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
    finish(build.current_dir(&copy))
}

/// Builds the tests of Rust's rabbitmq_http_client as `directory/tests`, and what runs them as `directory/suite`.
pub(crate) fn rust_http(sources: &Path, directory: &Path) -> Result<()> {
    let copy = directory.join("source");
    let tests = copy.join("tests/integration");
    copy_flat(sources, &copy)?;
    copy_flat(
        &cargo_package(&copy, "rabbitmq_http_client")?.join("tests/integration"),
        &tests,
    )?;
    point(&tests, &RUST_HTTP)?;
    finish(cargo_test().current_dir(&copy))?;
    // Now that nothing is left to say about the sources, where the programs are.
    let said = answer(cargo_test().args(["--message-format", "json"]).current_dir(&copy))?;
    fs::copy(executable(&said, "integration")?, directory.join("tests"))?;
    fs::copy(executable(&said, "suite")?, directory.join("suite"))?;
    fs::copy(copy.join("lacking.txt"), directory.join("lacking.txt"))?;
    // The programs are all that is run; what they were made of is a hundred times as much.
    fs::remove_dir_all(copy.join("target")).context("cannot remove what the compiler left")
}

/// Compiles the tests and what runs them.
fn cargo_test() -> Command {
    let mut build = Command::new("cargo");
    build.args(["test", "--no-run", "--locked", "--quiet", "--test", "integration"]);
    build.args(["--target-dir", "target"]);
    build
}

/// Where cargo keeps the sources of a package that `copy/Cargo.lock` pins, after it has proven their hash.
fn cargo_package(copy: &Path, name: &str) -> Result<PathBuf> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    let metadata: Value = serde_json::from_slice(&answer(metadata.current_dir(copy))?)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let package = packages.iter().find(|package| package["name"] == name);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = PathBuf::from(manifest.with_context(|| format!("cargo does not say where {name} is"))?);
    Ok(manifest.parent().context("a manifest is in a directory")?.to_owned())
}

/// The program that the compiler made of a target, by what it said.
fn executable(said: &[u8], target: &str) -> Result<PathBuf> {
    let messages = said.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    for message in messages {
        let message: Value = serde_json::from_slice(message)?;
        if let Some(path) = message["executable"]
            .as_str()
            .filter(|_| message["target"]["name"] == target)
        {
            return Ok(PathBuf::from(path));
        }
    }
    anyhow::bail!("cargo does not say where it has put {target}")
}

/// Where Go keeps the module that `sources/go.mod` pins, after it has proven its hash.
fn go_module(sources: &Path, module: &str) -> Result<PathBuf> {
    finish(
        Command::new("go")
            .args(["mod", "download", module])
            .current_dir(sources),
    )?;
    let mut list = Command::new("go");
    list.args(["list", "-m", "-f", "{{.Dir}}", module]);
    let path = PathBuf::from(String::from_utf8(answer(list.current_dir(sources))?)?.trim());
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
    #[test]
    fn the_program_of_a_target_is_where_the_compiler_says() {
        let said = br#"{"reason":"compiler-artifact","target":{"name":"suite"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"integration"},"executable":"/t/integration-1"}
{"reason":"compiler-artifact","target":{"name":"suite"},"executable":"/t/suite"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(said, "suite").unwrap(), Path::new("/t/suite"));
        assert_eq!(executable(said, "integration").unwrap(), Path::new("/t/integration-1"));
        let refusal = executable(said, "broker").unwrap_err().to_string();
        assert_eq!(refusal, "cargo does not say where it has put broker");
    }
}
