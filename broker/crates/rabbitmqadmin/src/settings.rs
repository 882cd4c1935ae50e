//! Which broker is asked, as whom, and how its answer is shown: defaults, then a section of the configuration file, then
//! the command line. A key of the file that is no setting is refused.

use crate::ini::{self, Section};
use crate::options::Line;
use crate::problem::Problem;
use crate::words::WORDS;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a call goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) hostname: String,
    pub(crate) port: u16,
    pub(crate) path_prefix: String,
    /// Of lists; and of what is declared, unless `declare_vhost` says otherwise.
    pub(crate) vhost: Option<String>,
    pub(crate) declare_vhost: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) quiet: bool,
    /// None: without TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) request_timeout: Duration,
    pub(crate) format: String,
    pub(crate) sort: Option<String>,
    pub(crate) sort_reverse: bool,
    /// None unless it is given: then lists show all columns.
    pub(crate) depth: Option<usize>,
}

/// Whom a broker's certificate is believed by, and what is shown to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) key: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) any_host: bool,
    pub(crate) any_certificate: bool,
}

/// Values by key; those of the command line over those of the file.
struct Values(BTreeMap<String, String>);

impl Settings {
    /// Reads the file that is named, or the one in the home directory if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or a value cannot be meant.
    pub(crate) fn of(line: &Line, home: Option<&Path>) -> Result<Self, Problem> {
        let mut values = Values(of_file(line, home)?.into_iter().collect());
        values
            .0
            .extend(line.given.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        if let Some(address) = values.text("base_uri") {
            values.address(&address)?;
        }
        values.settings()
    }
}

/// The section that is asked for.
fn of_file(line: &Line, home: Option<&Path>) -> Result<Section, Problem> {
    let named = line.given.get("config").map(PathBuf::from);
    if let Some(path) = named.as_ref().filter(|path| !path.is_file()) {
        return Err(Problem::Usage(format!(
            "Could not read config file '{}'",
            path.display()
        )));
    }
    let at_home = || {
        home.map(|home| home.join(".rabbitmqadmin.conf"))
            .filter(|path| path.is_file())
    };
    let name = line.given.get("node").map_or("default", String::as_str);
    let Some(path) = named.or_else(at_home) else {
        return match name {
            "default" => Ok(Section::new()),
            _ => Err(Problem::Usage(format!(
                "Could not read section '{name}': there is no config file"
            ))),
        };
    };
    let file = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| Problem::of_file(&file.to_string(), &error))?;
    let unread = |why| Problem::Usage(format!("Could not read config file '{file}': {why}"));
    let mut sections = ini::read(&text).map_err(unread)?;
    let for_all = sections.remove("DEFAULT").unwrap_or_default();
    let Some(found) = sections.remove(name) else {
        return match name {
            "default" => Ok(Section::new()),
            _ => Err(Problem::Usage(format!(
                "Could not read section '{name}' in config file '{file}':\n   No section: '{name}'"
            ))),
        };
    };
    let section: Section = for_all.into_iter().chain(found).collect();
    let known = |(key, value): (&String, &String)| {
        check_key(key).map_err(unread)?;
        Ok((key.clone(), ini::filled(value, &section).map_err(unread)?))
    };
    section.iter().map(known).collect()
}

fn check_key(key: &str) -> Result<(), String> {
    const OF_THE_LINE: [&str; 5] = ["help", "config", "node", "bash_completion", "version"];
    let is_option = WORDS.options.iter().any(|option| option.key == key) && !OF_THE_LINE.contains(&key);
    match is_option || key == "declare_vhost" || key == "verbose" {
        true => Ok(()),
        false => Err(format!("'{key}' is no setting")),
    }
}

impl Values {
    fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn or(&self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| default.to_owned())
    }

    fn number<N: std::str::FromStr>(&self, key: &str) -> Result<Option<N>, Problem> {
        let read = |text: String| text.trim().parse().map_err(|_| no_value(key, &text, "number"));
        self.text(key).map(read).transpose()
    }

    /// A switch of the command line has an empty value.
    fn switch(&self, key: &str) -> Result<Option<bool>, Problem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.to_lowercase().as_str() {
            "" | "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(no_value(key, &text, "switch: write True or False")),
        }
    }

    fn is_on(&self, key: &str) -> Result<bool, Problem> {
        Ok(self.switch(key)?.unwrap_or(false))
    }

    /// An address names what other options do; its path is not one of them.
    fn address(&mut self, text: &str) -> Result<(), Problem> {
        let wrong = || Problem::Usage(format!("--base-uri {text} is no http or https address"));
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, place) = place
            .rsplit_once('@')
            .map_or((None, place), |(login, place)| (Some(login), place));
        let (host, port) = host_and_port(place).ok_or_else(wrong)?;
        match scheme {
            "http" => {}
            "https" => drop(self.0.insert("ssl".into(), String::new())),
            _ => return Err(wrong()),
        }
        self.0.insert("hostname".into(), host.to_owned());
        if let Some(port) = port {
            self.0.insert("port".into(), port.to_owned());
        }
        if let Some(login) = login {
            let (user, password) = login
                .split_once(':')
                .map_or((login, None), |(user, word)| (user, Some(word)));
            self.0.insert("username".into(), decoded(user));
            self.0
                .extend(password.map(|password| ("password".into(), decoded(password))));
        }
        if !path.is_empty() && path != "/" {
            crate::run::complain(
                "WARNING: path in --base-uri is ignored. Please specify --vhost and/or --path-prefix separately.\n",
            );
        }
        Ok(())
    }

    fn settings(&self) -> Result<Settings, Problem> {
        let verbose = self.switch("verbose")?.unwrap_or(true);
        let vhost = self.text("vhost").filter(|vhost| !vhost.is_empty());
        let declare_vhost = vhost.clone().unwrap_or_else(|| self.or("declare_vhost", "/"));
        let format = self.or("format", "table");
        if !WORDS.formats.contains(&format) {
            return Err(Problem::Usage(format!("Format {format} not recognised")));
        }
        Ok(Settings {
            hostname: self.or("hostname", "localhost"),
            port: self.number("port")?.unwrap_or(15672),
            path_prefix: self.or("path_prefix", ""),
            vhost,
            declare_vhost,
            username: self.or("username", "guest"),
            password: self.or("password", "guest"),
            quiet: self.switch("quiet")?.unwrap_or(!verbose),
            tls: if self.is_on("ssl")? { Some(self.tls()?) } else { None },
            request_timeout: Duration::from_secs(self.number("request_timeout")?.unwrap_or(120)),
            format,
            sort: self.text("sort"),
            sort_reverse: self.is_on("sort_reverse")?,
            depth: self.number("depth")?,
        })
    }

    fn tls(&self) -> Result<Tls, Problem> {
        let file = |key| self.text(key).map(PathBuf::from);
        Ok(Tls {
            key: file("ssl_key_file"),
            certificate: file("ssl_cert_file"),
            authorities: file("ssl_ca_cert_file"),
            any_host: self.is_on("ssl_disable_hostname_verification")?,
            any_certificate: self.is_on("ssl_insecure")?,
        })
    }
}

fn no_value(key: &str, text: &str, kind: &str) -> Problem {
    Problem::Usage(format!("{key} = {text} is no {kind}"))
}

fn host_and_port(place: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = rest.strip_prefix(':').filter(|port| !port.is_empty());
    (!host.is_empty()).then_some((host, port))
}

fn decoded(text: &str) -> String {
    let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let octet = hex
            .filter(|_| *first == b'%')
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        octets.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str, file: Option<&str>) -> Result<Settings, Problem> {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = file {
            std::fs::write(home.path().join(".rabbitmqadmin.conf"), text).unwrap();
        }
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Settings::of(&Line::read(&words).unwrap(), Some(home.path()))
    }

    const FILE: &str =
        "[default]\nhostname = one\nvhost = v\n[two]\nport = 5\nssl = True\nverbose = False\npassword = 5%%\n";

    #[test]
    fn the_line_is_over_the_file_and_the_file_over_defaults() {
        let found = settings("", Some(FILE)).unwrap();
        assert_eq!(
            (found.hostname.as_str(), found.port, found.declare_vhost.as_str()),
            ("one", 15672, "v")
        );
        let found = settings("-N two -P 6 -k -t 7", Some(FILE)).unwrap();
        assert_eq!(
            (found.hostname.as_str(), found.port, found.password.as_str()),
            ("localhost", 6, "5%")
        );
        assert!(found.quiet && found.tls.unwrap().any_certificate);
        assert_eq!(found.request_timeout, Duration::from_secs(7));
        assert_eq!(settings("-N default", None).unwrap().hostname, "localhost");
    }

    #[test]
    fn what_the_file_cannot_mean_is_refused() {
        let why = |line, file| match settings(line, file) {
            Err(Problem::Usage(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why("-N three", Some(FILE)).ends_with("No section: 'three'"));
        assert_eq!(
            why("-c /nonexistent", None),
            "Could not read config file '/nonexistent'"
        );
        assert!(why("", Some("[default]\nhost = a")).ends_with("'host' is no setting"));
        assert_eq!(
            why("", Some("[default]\nssl = perhaps")),
            "ssl = perhaps is no switch: write True or False"
        );
        assert_eq!(why("-P x", None), "port = x is no number");
        assert_eq!(why("-f frob", None), "Format frob not recognised");
    }

    #[test]
    fn an_address_says_host_port_user_and_whether_there_is_tls() {
        let found = settings("-U https://a%40b:p%3a@[::1]:77 -H other", None).unwrap();
        assert_eq!((found.hostname.as_str(), found.port), ("::1", 77));
        assert_eq!((found.username.as_str(), found.password.as_str()), ("a@b", "p:"));
        assert!(found.tls.is_some());
        let found = settings("-U http://h -P 8", None).unwrap();
        assert_eq!((found.hostname.as_str(), found.port, found.tls), ("h", 8, None));
        for wrong in ["h:1", "ftp://h", "http://"] {
            assert!(settings(&format!("-U {wrong}"), None).is_err(), "{wrong}");
        }
    }
}
