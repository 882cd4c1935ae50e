//! Every file of `examples/` as its reader would have it: applied in a namespace of its own, waited for until it is ready, used by a program, and
//! deleted; several files beside each other. What a file's head says it needs is made first (`needs`), and what each shows beyond a broker that
//! works is looked at (`shows`). All that is made here is taken away.

mod needs;
mod place;
mod shows;
mod tls;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use self::place::Place;
use crate::check::{Checks, Outcome, equal, says};
use crate::kube;
use crate::run::run;

/// So many are tried at the same time.
const AT_ONCE: usize = 4;
/// How long a cluster may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// Not beside others: it keeps a machine for itself.
const ALONE: &str = "tolerations";
/// It may not be deleted by mistake.
const PROTECTED: &str = "production";

/// Tries these files, or all.
pub(crate) fn checks(image: &str, only: &[String], checks: &mut Checks) {
    let mut before = kube::Before::default();
    let mut shared = needs::Shared::default();
    checks.needed("helm installs the operator where three machines are", || {
        let machines = run("kubectl", &["get", "nodes", "-o", "name"])?.lines().count();
        if machines < 3 {
            return Err(format!("{machines} machines, and examples are made for three"));
        }
        before = kube::Before::look()?;
        kube::install(image).map(drop)
    });
    checks.needed("what several of them need is there", || {
        shared = needs::Shared::make()?;
        Ok(())
    });
    let mut files = Vec::new();
    checks.needed("there are examples", || {
        files = names(only)?;
        if files.is_empty() { Err("none".into()) } else { Ok(()) }
    });
    let places: Vec<_> = files.iter().map(|file| Place::of(file)).collect();
    let (alone, together): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file == ALONE);
    side_by_side(together, checks);
    side_by_side(alone, checks);
    checks.check("nothing is left of them", || places.iter().try_for_each(Place::gone));
    shared.remove();
    before.restore(image);
}

/// Names of the files without their ending.
fn names(only: &[String]) -> Outcome<Vec<String>> {
    let files = std::fs::read_dir("examples").map_err(|error| format!("examples: {error}"))?;
    let mut names = Vec::new();
    for file in files {
        let name = file.map_err(|error| error.to_string())?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".yaml").map(str::to_owned));
    }
    names.sort();
    if let Some(unknown) = only.iter().find(|wanted| !names.contains(wanted)) {
        return Err(format!("there is no examples/{unknown}.yaml"));
    }
    names.retain(|name| only.is_empty() || only.contains(name));
    Ok(names)
}

fn side_by_side(files: Vec<String>, checks: &mut Checks) {
    let left = Mutex::new(VecDeque::from(files));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = |mut checks: Checks| {
        while let Some(file) = next() {
            let sentence = format!("examples/{file}.yaml becomes what it shows, is used, and goes");
            checks.check(&sentence, || prove(&file));
        }
        checks
    };
    let made: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| (checks.beside(), &work)).collect();
        let workers: Vec<_> = workers
            .into_iter()
            .map(|(own, work)| scope.spawn(move || work(own)))
            .collect();
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for made in made {
        match made {
            Ok(made) => checks.add(&made),
            Err(_) => checks.check("examples come to an end", || Err("a panic".into())),
        }
    }
}

fn prove(file: &str) -> Outcome {
    let place = Place::make(file)?;
    let proven = whole_life(&place, file).map_err(|reason| format!("{reason}\n{}", place.story()));
    let shared = match file {
        ALONE => needs::share_machines(),
        _ => Ok(()),
    };
    proven.and(shared).and(place.remove())
}

fn whole_life(place: &Place, file: &str) -> Outcome {
    let text = std::fs::read_to_string(format!("examples/{file}.yaml")).map_err(|error| error.to_string())?;
    let text = needs::meet(place, file, text)?;
    place.apply(&text)?;
    place.ready(READY_LIMIT)?;
    for cluster in place.clusters()? {
        use_it(place, &cluster)?;
    }
    shows::check(place, file)?;
    if file == PROTECTED {
        let kept = place.kubectl_refused(&["delete", "rmq", "--all", "--timeout=90s"])?;
        says(&kept, "deletionProtection")?;
        place.kubectl(&[
            "patch",
            "rmq",
            "business",
            "--type=merge",
            "-p",
            r#"{"spec":{"deletionProtection":false}}"#,
        ])?;
    }
    place.delete(&text)
}

/// Messages go through the Service and come back, by the address that the Secret tells.
fn use_it(place: &Place, cluster: &str) -> Outcome {
    let address = place.secret(&format!("{cluster}-default-user"), "connection_string")?;
    if address.starts_with("amqps:") {
        return tls::use_it(place, cluster);
    }
    place.login(cluster, |ann| {
        ann.put("example", 20)?;
        ann.take("example", 20)
    })?;
    equal(address.starts_with("amqp:"), true)
}
